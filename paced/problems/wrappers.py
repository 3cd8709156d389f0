"""What public data sets write around a problem to say how it should be answered: taken off, so that one template asks.

Only these texts, at the very start or end of a prompt. An instruction that is not here is part of the problem, and
``paced data inspect`` shows two problems before and after.
"""

from __future__ import annotations

STARTS = (
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "$Answer (without quotes) where $Answer is the answer to the problem.",
    "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
    "\\boxed{$Answer} where $Answer is the answer to the problem.",
    "Solve the following math problem efficiently and clearly. The last line of your response should be of the "
    "following format: 'Therefore, the final answer is: $\\boxed{ANSWER}$. I hope it is correct' (without quotes) "
    "where ANSWER is just the final number or expression that solves the problem. Think step by step before answering.",
    "Return your final response within \\boxed{}.",
)
ENDS = (
    'Remember to put your answer on its own line after "Answer:".',
    "Remember to put your answer on its own line after 'Answer:'.",
    'Let\'s think step by step and output the final answer after "####".',
    "Let's think step by step and output the final answer within \\boxed{}.",
    "Please reason step by step, and put your final answer within \\boxed{}.",
    "Please reason step by step, and put your final answer within \\boxed{{}}.",
    "Please think step by step and put your final answer within \\boxed{}.",
    "Put your final answer within \\boxed{}.",
    "Present the answer in LaTex format: \\boxed{Your answer}",
    "请通过逐步推理来解答问题，并把最终答案放置于\\boxed{}中。",
)


def unwrap(prompt: str) -> str:
    """The bare problem of a prompt.

    Example:
        >>> unwrap('What is 2+2? Let\\'s think step by step and output the final answer after "####".')
        'What is 2+2?'
        >>> unwrap("What is 2+2?  ")
        'What is 2+2?  '
    """
    bare = prompt
    wrapped = True
    while wrapped:
        wrapped = False
        for start in STARTS:
            if bare.lstrip().startswith(start):
                bare, wrapped = bare.lstrip()[len(start) :].lstrip(), True
        for end in ENDS:
            if bare.rstrip().endswith(end):
                bare, wrapped = bare.rstrip()[: -len(end)].rstrip(), True
    return bare
