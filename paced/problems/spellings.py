"""What data sets call a problem, its answer, its worked solution and what is known of it; the first one counts.

Names of final answers and names of worked solutions are kept apart: to take a rationale for the answer makes a problem
that nobody can solve.
"""

from __future__ import annotations

PROBLEM = (
    "problem", "question", "problem_text", "question_text", "problem_statement", "raw_problem", "original_question",
    "prompt", "query", "instruction", "input", "task", "exercise",
)  # fmt: skip
ANSWER = (
    "answer", "final_answer", "gold_answer", "gold", "ground_truth", "gt_answer", "gt", "expected_answer",
    "expected_output", "reference_answer", "correct_answer", "short_answer", "numerical_answer", "target", "answers",
    "label", "solution_answer",
)  # fmt: skip
SOLUTION = (
    "solution", "expert_solution", "worked_solution", "full_solution", "ground_truth_solution", "reference_solution",
    "rationale", "explanation", "reasoning", "chain_of_thought", "cot", "solutions",
)  # fmt: skip
WORKED = (*SOLUTION, "generated_solution", "deepseek_solution", "response", "completion", "output")
"""With what a model may have written: the gold is taken from there where nothing else holds it, but beside a column of
answers it is not an expert's solution."""
SUBJECT = ("subject", "subfield", "topic", "category", "problem_type", "domain", "type")
LEVEL = ("level", "difficulty", "difficulty_level")
SOURCE = ("source", "data_source", "dataset")
OWN_ID = ("problem_id", "unique_id", "uid", "uuid", "question_id", "problem_idx", "id")
ANSWER_TYPE = ("answer_type",)
CHOICES = ("choices", "options")

KNOWN_OF_IT = {"subject": SUBJECT, "level": LEVEL, "source": SOURCE, "problem_id": OWN_ID}
"""Role -> spellings of what is known of a problem, in any data set."""
