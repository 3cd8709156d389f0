"""Small files with the columns and the column types of the public data sets, and what must be read from each.

Schemas: data set cards and the reading code of lm-eval, verl and TRL (``docs/data.md``); the problems are our own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from paced.problems.wrappers import ENDS, STARTS

TEXT, INT = pa.string(), pa.int64()
CONTENT_FIRST = pa.list_(pa.struct([("content", TEXT), ("role", TEXT)]))
ROLE_FIRST = pa.list_(pa.struct([("role", TEXT), ("content", TEXT)]))
FROM_VALUE = pa.list_(pa.struct([("from", TEXT), ("value", TEXT)]))
TRUTH_FIRST = pa.struct([("ground_truth", TEXT), ("style", TEXT)])
STYLE_FIRST = pa.struct([("style", TEXT), ("ground_truth", TEXT)])


@dataclass(frozen=True)
class PublicSet:
    """A data set in small: its columns with their types, its rows, and the first problem as it must be read."""

    adapter: str
    columns: dict[str, Any]
    rows: list[dict[str, Any]]
    problem: str
    answer: str
    answer_type: str
    solution: str = ""
    further: dict[str, str] = field(default_factory=dict)
    num_problems: int = 2

    def write(self, path: Path) -> Path:
        """As parquet, or as JSON lines."""
        if path.suffix == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        else:
            pq.write_table(pa.Table.from_pylist(self.rows, schema=pa.schema(list(self.columns.items()))), path)
        return path


def _dapo(text: str) -> list[dict[str, str]]:
    return [{"content": f"{STARTS[0]}\n\n{text}\n\n{ENDS[0]}", "role": "user"}]


def _chat(question: str, answer: str = "") -> list[dict[str, str]]:
    said = [{"role": "assistant", "content": answer}] if answer else []
    return [{"role": "user", "content": question}, *said]


SUM, PRODUCT = "What is $30 + 4$?", "What is $6 \\cdot 7$?"
WORKED = "We add: $30 + 4 = \\boxed{34}$."
WORKED_PRODUCT = "It is $\\boxed{42}$."

SETS: dict[str, PublicSet] = {
    "BytedTsinghua-SIA/DAPO-Math-17k": PublicSet(
        "dapo",
        {"data_source": TEXT, "prompt": CONTENT_FIRST, "ability": TEXT, "reward_model": TRUTH_FIRST,
         "extra_info": pa.struct([("index", TEXT)])},
        [{"data_source": "math_dapo", "prompt": _dapo(text), "ability": "MATH",
          "reward_model": {"ground_truth": gold, "style": "rule-lighteval/MATH_v2"}, "extra_info": {"index": index}}
         for text, gold, index in ((SUM, "34", "9a9b6eb4"), (PRODUCT, "42", "b426d104")) * 100],
        SUM, "34", "integer", further={"source": "math_dapo"},
    ),
    "open-r1/DAPO-Math-17k-Processed": PublicSet(
        "dapo_processed",
        {"prompt": TEXT, "solution": TEXT, "data_source": TEXT, "source_prompt": CONTENT_FIRST, "ability": TEXT,
         "reward_model": TRUTH_FIRST, "extra_info": pa.struct([("index", TEXT)])},
        [{"prompt": _dapo(text)[0]["content"] if wrapped else text, "solution": gold, "data_source": "math_dapo",
          "source_prompt": _dapo(text), "ability": "MATH", "reward_model": {"ground_truth": gold, "style": "rule"},
          "extra_info": {"index": "x"}} for text, gold, wrapped in ((SUM, "34", True), (PRODUCT, "42", False))],
        SUM, "34", "integer",
    ),
    "BytedTsinghua-SIA/AIME-2024": PublicSet(
        "dapo_aime",
        {"data_source": TEXT, "prompt": CONTENT_FIRST, "ability": TEXT, "reward_model": TRUTH_FIRST,
         "extra_info": pa.struct([("index", INT), ("raw_problem", TEXT), ("split", pa.null())]),
         "__index_level_0__": INT},
        [{"data_source": "math_dapo", "prompt": _dapo(text), "ability": "MATH",
          "reward_model": {"ground_truth": gold, "style": "rule-lighteval/MATH_v2"},
          "extra_info": {"index": index, "raw_problem": text, "split": None}, "__index_level_0__": index}
         for index, (text, gold) in enumerate([(SUM, "034"), (PRODUCT, "42")] * 32)],
        SUM, "034", "integer",
    ),
    "HuggingFaceH4/MATH-500": PublicSet(
        "math500",
        {"problem": TEXT, "solution": TEXT, "answer": TEXT, "subject": TEXT, "level": INT, "unique_id": TEXT},
        [{"problem": "Write $(0, 3)$ in polar coordinates.", "solution": "We see $\\boxed{(3, \\frac{\\pi}{2})}$.",
          "answer": "\\left( 3, \\frac{\\pi}{2} \\right)", "subject": "Precalculus", "level": 2,
          "unique_id": "test/precalculus/807.json"},
         {"problem": "Who is fastest?", "solution": "So $\\boxed{\\text{Evelyn}}$.", "answer": "\\text{Evelyn}",
          "subject": "Algebra", "level": 5, "unique_id": "test/algebra/4.json"}],
        "Write $(0, 3)$ in polar coordinates.", "\\left( 3, \\frac{\\pi}{2} \\right)", "math",
        "We see $\\boxed{(3, \\frac{\\pi}{2})}$.",
        {"subject": "Precalculus", "level": "2", "problem_id": "test/precalculus/807.json"},
    ),
    "hendrycks MATH": PublicSet(
        "math",
        {"problem": TEXT, "level": TEXT, "type": TEXT, "solution": TEXT},
        [{"problem": SUM, "level": "Level 1", "type": "Algebra", "solution": WORKED},
         {"problem": PRODUCT, "level": "Level ?", "type": "Algebra", "solution": WORKED_PRODUCT}],
        SUM, "34", "integer", WORKED, {"subject": "Algebra", "level": "1"},
    ),
    "HuggingFaceH4/aime_2024": PublicSet(
        "aime",
        {"id": INT, "problem": TEXT, "solution": TEXT, "answer": TEXT, "url": TEXT, "year": TEXT},
        [{"id": 60 + row, "problem": text, "solution": worked, "answer": gold,
          "url": "https://artofproblemsolving.com/wiki/index.php/2024_AIME_I_Problems/Problem_1", "year": "2024"}
         for row, (text, worked, gold) in enumerate([(SUM, WORKED, "034"), (PRODUCT, WORKED_PRODUCT, "42")])],
        SUM, "034", "integer", WORKED, {"problem_id": "60"},
    ),
    "Maxwell-Jia/AIME_2024": PublicSet(
        "aime",
        {"ID": TEXT, "Problem": TEXT, "Solution": TEXT, "Answer": INT},
        [{"ID": "2024-II-4", "Problem": SUM, "Solution": WORKED, "Answer": 34},
         {"ID": "2024-I-12", "Problem": PRODUCT, "Solution": WORKED_PRODUCT, "Answer": 42}],
        SUM, "34", "integer", WORKED, {"problem_id": "2024-II-4"},
    ),
    "opencompass/AIME2025": PublicSet(
        "generic",
        {"question": TEXT, "answer": TEXT},
        [{"question": SUM, "answer": "034"}, {"question": PRODUCT, "answer": "42"}],
        SUM, "034", "integer",
    ),
    "yentinglin/aime_2025": PublicSet(
        "aime",
        {"id": TEXT, "problem": TEXT, "answer": TEXT, "solution": TEXT, "url": TEXT, "year": TEXT},
        [{"id": str(row), "problem": text, "answer": gold, "solution": "", "year": "2025",
          "url": "https://artofproblemsolving.com/wiki/index.php/2025_AIME_I_Problems/Problem_1"}
         for row, (text, gold) in enumerate([(SUM, "34"), (PRODUCT, "42")])],
        SUM, "34", "integer",
    ),
    "math-ai/aime25": PublicSet(
        "paced",
        {"problem": TEXT, "answer": TEXT, "id": TEXT},
        [{"problem": SUM, "answer": "34", "id": "0"}, {"problem": PRODUCT, "answer": "42", "id": "1"}],
        SUM, "34", "integer", further={"problem_id": "0"},
    ),
    "MathArena/aime_2025": PublicSet(
        "aime",
        {"problem_idx": INT, "problem": TEXT, "answer": INT, "problem_type": pa.list_(TEXT)},
        [{"problem_idx": 1, "problem": SUM, "answer": 34, "problem_type": ["Algebra", "Number Theory"]},
         {"problem_idx": 2, "problem": PRODUCT, "answer": 42, "problem_type": ["Algebra"]}],
        SUM, "34", "integer", further={"problem_id": "1", "subject": "Algebra, Number Theory"},
    ),
    "openai/gsm8k": PublicSet(
        "gsm8k",
        {"question": TEXT, "answer": TEXT},
        [{"question": "How many clips?", "answer": "She sold 500*2=<<500*2=1000>>1,000 clips.\n#### 1,000"},
         {"question": "How many cats?", "answer": "None of 3 minus 8.\n#### -5"}],
        "How many clips?", "1000", "integer", "She sold 500*2=1,000 clips.",
    ),
    "cais/mmlu": PublicSet(
        "mmlu",
        {"question": TEXT, "subject": TEXT, "choices": pa.list_(TEXT), "answer": INT},
        [{"question": "Which is prime?", "subject": "abstract_algebra", "choices": ["4", "6", "8", "7"], "answer": 3},
         {"question": "Which is even?", "subject": "abstract_algebra", "choices": ["4", "5", "9", "7"], "answer": 0}],
        "Which is prime?\n\nA. 4\nB. 6\nC. 8\nD. 7", "D", "choice", further={"subject": "abstract_algebra"},
    ),
    "TIGER-Lab/MMLU-Pro": PublicSet(
        "mmlu",
        {"question_id": INT, "question": TEXT, "options": pa.list_(TEXT), "answer": TEXT, "answer_index": INT,
         "cot_content": TEXT, "category": TEXT, "src": TEXT},
        [{"question_id": 70 + row, "question": f"Which is {row}?", "options": [str(one) for one in range(10)],
          "answer": "ABCDEFGHIJ"[row], "answer_index": row, "cot_content": "", "category": "math", "src": "x"}
         for row in (8, 9)],
        "Which is 8?\n\n" + "\n".join(f"{'ABCDEFGHIJ'[one]}. {one}" for one in range(10)), "I", "choice",
        further={"subject": "math", "problem_id": "78"},
    ),
    "allenai/ai2_arc": PublicSet(
        "mmlu",
        {"id": TEXT, "question": TEXT, "answerKey": TEXT,
         "choices": pa.struct([("text", pa.list_(TEXT)), ("label", pa.list_(TEXT))])},
        [{"id": f"Mercury_{row}", "question": f"Which is warm {row}?", "answerKey": "2",
          "choices": {"text": ["ice", "sun"], "label": ["1", "2"]}} for row in (1, 2)],
        "Which is warm 1?\n\nA. ice\nB. sun", "B", "choice",
    ),
    "AI-MO/NuminaMath-CoT": PublicSet(
        "numina",
        {"source": TEXT, "problem": TEXT, "solution": TEXT, "messages": CONTENT_FIRST},
        [{"source": "aops_forum", "problem": text, "solution": worked, "messages": _chat(text, worked)}
         for text, worked in ((SUM, WORKED), (PRODUCT, WORKED_PRODUCT))],
        SUM, "34", "integer", WORKED, {"source": "aops_forum"},
    ),
    "AI-MO/NuminaMath-1.5": PublicSet(
        "numina",
        {"problem": TEXT, "solution": TEXT, "answer": TEXT, "problem_type": TEXT, "question_type": TEXT,
         "problem_is_valid": TEXT, "solution_is_valid": TEXT, "source": TEXT, "synthetic": pa.bool_()},
        [{"problem": text, "solution": worked, "answer": gold, "problem_type": "Algebra",
          "question_type": "math-word-problem", "problem_is_valid": "Yes", "solution_is_valid": "Yes",
          "source": "olympiads", "synthetic": False}
         for text, worked, gold in ((SUM, WORKED, "34"), (PRODUCT, WORKED_PRODUCT, "42"))],
        SUM, "34", "integer", WORKED, {"subject": "Algebra"},
    ),
    "open-r1/OpenR1-Math-220k": PublicSet(
        "numina",
        {"problem": TEXT, "solution": TEXT, "answer": TEXT, "problem_type": TEXT, "question_type": TEXT,
         "source": TEXT, "uuid": TEXT, "is_reasoning_complete": pa.list_(pa.bool_()), "generations": pa.list_(TEXT),
         "messages": ROLE_FIRST},
        [{"problem": text, "solution": worked, "answer": gold, "problem_type": "Algebra", "question_type": "x",
          "source": "olympiads", "uuid": f"u{gold}", "is_reasoning_complete": [True], "generations": ["<think>"],
          "messages": _chat(text, worked)}
         for text, worked, gold in ((SUM, WORKED, "34"), (PRODUCT, WORKED_PRODUCT, "42"))],
        SUM, "34", "integer", WORKED, {"problem_id": "u34"},
    ),
    "open-thoughts/OpenThoughts-114k": PublicSet(
        "openthoughts",
        {"system": TEXT, "conversations": FROM_VALUE},
        [{"system": "Think.", "conversations": [
            {"from": "user", "value": f"Return your final response within \\boxed{{}}. {text}"},
            {"from": "assistant", "value": "<|begin_of_thought|>\n\nmaybe \\boxed{1}\n\n<|end_of_thought|>\n\n"
             f"<|begin_of_solution|>\n\n{worked}\n\n<|end_of_solution|>"}]}
         for text, worked in ((SUM, WORKED), (PRODUCT, WORKED_PRODUCT))],
        SUM, "34", "integer", WORKED,
    ),
    "open-thoughts/OpenThoughts-114k (metadata)": PublicSet(
        "openthoughts",
        {"problem": TEXT, "deepseek_reasoning": TEXT, "deepseek_solution": TEXT, "ground_truth_solution": TEXT,
         "domain": TEXT, "source": TEXT, "test_cases": TEXT, "starter_code": TEXT},
        [{"problem": text, "deepseek_reasoning": "Hm.", "deepseek_solution": worked, "ground_truth_solution": worked,
          "domain": "math", "source": "numina_math", "test_cases": None, "starter_code": None}
         for text, worked in ((SUM, WORKED), (PRODUCT, WORKED_PRODUCT))],
        SUM, "34", "integer", WORKED, {"subject": "math"},
    ),
    "verl": PublicSet(
        "verl",
        {"data_source": TEXT, "prompt": CONTENT_FIRST, "ability": TEXT, "reward_model": TRUTH_FIRST,
         "extra_info": pa.struct([("answer", TEXT), ("index", INT), ("question", TEXT), ("split", TEXT)])},
        [{"data_source": "openai/gsm8k", "prompt": _chat(f"{text} {ENDS[2]}"), "ability": "math",
          "reward_model": {"ground_truth": gold, "style": "rule"},
          "extra_info": {"answer": f"It is {gold}.\n#### {gold}", "index": 0, "question": text, "split": "train"}}
         for text, gold in ((SUM, "34"), (PRODUCT, "42"))],
        SUM, "34", "integer", "It is 34.", {"source": "openai/gsm8k"},
    ),
    "TRL prompt": PublicSet(
        "trl_prompt", {"prompt": ROLE_FIRST, "solution": TEXT},
        [{"prompt": _chat(SUM), "solution": WORKED}, {"prompt": _chat(PRODUCT), "solution": "$42$"}],
        SUM, "34", "integer", WORKED,
    ),
    "TRL prompt, standard": PublicSet(
        "trl_prompt", {"prompt": TEXT, "ground_truth": TEXT},
        [{"prompt": SUM, "ground_truth": "34"}, {"prompt": PRODUCT, "ground_truth": "42"}], SUM, "34", "integer",
    ),
    "TRL prompt-completion": PublicSet(
        "trl_completion", {"prompt": ROLE_FIRST, "completion": ROLE_FIRST},
        [{"prompt": _chat(text), "completion": _chat("", worked)[1:]}
         for text, worked in ((SUM, WORKED), (PRODUCT, WORKED_PRODUCT))],
        SUM, "34", "integer", WORKED,
    ),
    "TRL prompt-completion, standard": PublicSet(
        "trl_completion", {"prompt": TEXT, "completion": TEXT},
        [{"prompt": SUM, "completion": WORKED}, {"prompt": PRODUCT, "completion": "42"}], SUM, "34", "integer", WORKED,
    ),
    "TRL conversational": PublicSet(
        "trl_messages", {"messages": ROLE_FIRST},
        [{"messages": _chat(SUM, WORKED)}, {"messages": _chat(PRODUCT, WORKED_PRODUCT)}], SUM, "34", "integer", WORKED,
    ),
    "meta-math/MetaMathQA": PublicSet(
        "generic", {"query": TEXT, "response": TEXT, "type": TEXT, "original_question": TEXT},
        [{"query": text, "response": f"We count.\nThe answer is: {gold}", "type": "GSM_Rephrased",
          "original_question": text} for text, gold in ((SUM, "34"), (PRODUCT, "42"))],
        SUM, "34", "integer", "We count.\nThe answer is: 34",
    ),
    "Hothan/OlympiadBench": PublicSet(
        "generic",
        {"id": INT, "subfield": TEXT, "question": TEXT, "solution": pa.list_(TEXT), "final_answer": pa.list_(TEXT),
         "difficulty": TEXT},
        [{"id": 1606 + row, "subfield": "Number Theory", "question": text, "solution": [worked],
          "final_answer": [gold], "difficulty": "Competition"}
         for row, (text, worked, gold) in enumerate([(SUM, WORKED, "34"), (PRODUCT, WORKED_PRODUCT, "42")])],
        SUM, "34", "integer", WORKED, {"subject": "Number Theory", "level": "Competition"},
    ),
    "math-ai/amc23": PublicSet(
        "paced", {"id": INT, "problem": TEXT, "answer": pa.float64(), "url": TEXT},
        [{"id": 0, "problem": SUM, "answer": 34.0, "url": "x"}, {"id": 1, "problem": PRODUCT, "answer": 42.0,
                                                                 "url": "x"}],
        SUM, "34", "integer",
    ),
}  # fmt: skip
