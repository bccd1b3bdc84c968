"""What tasks of this domain say, by language."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["WORDS", "of_words"]

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "function": "Write a Python function `{signature}`. It does the following, in this order, and gives what comes out:",
        "repair": "This Python function has a mistake:\n{code}\n"
        "It should do the following, in this order, and give what comes out:",
        "program": "Write a Python program that reads one line from standard input, {reads}, "
        "and does the following, in this order:",
        "reads_numbers": "whole numbers separated by single spaces (the line may be empty)",
        "reads_text": "words of small letters separated by single spaces",
        "prints": "Then it prints the result on one line; numbers of a list are separated by single spaces.",
        "words": "A word is whatever stands between spaces, and each of its characters is a letter of it; a step that works on "
        "words leaves exactly one space between two words, and none before or after them.",
        "examples": "Examples:",
        "input": "input:",
        "output": "output:",
        "reply": "Give the whole code in one block that begins with ```python. It is tried on other inputs, too.",
        "issue": "Issue: `{name}({input})` gives `{wrong}`. By README.md it should give `{right}`. Find the cause in the "
        "repository and put it right with your tools; the other functions should go on working. Say shortly what you changed "
        "when you are done.",
        "fixed": "I found the mistake in {path} and put it right; the tests pass.",
        "readme": "# Toolbox\n\n`{signature}` in toolbox/report.py does the following, in this order:\n{steps}\n\n"
        "The steps are functions in toolbox/steps.py. Each does what its docstring says.\n",
    },
    "zh": {
        "function": "请写一个 Python 函数 `{signature}`，按顺序完成以下各步并返回最后的结果：",
        "repair": "下面的 Python 函数有一处错误：\n{code}\n它应该按顺序完成以下各步并返回最后的结果：",
        "program": "请写一个 Python 程序，从标准输入读取一行（{reads}），并按顺序完成以下各步：",
        "reads_numbers": "以单个空格分隔的整数，可能为空行",
        "reads_text": "以单个空格分隔的小写单词",
        "prints": "最后把结果打印在一行上；列表中的数以单个空格分隔。",
        "words": "空格之间的一段就是一个单词，其中每个字符都算它的字母；处理单词的步骤之后，单词之间恰有一个空格，首尾没有空格。",
        "examples": "例子：",
        "input": "输入：",
        "output": "输出：",
        "reply": "请把完整代码放在一个以 ```python 开头的代码块里。评判时还会用其他输入。",
        "issue": "问题：`{name}({input})` 返回 `{wrong}`，而按照 README.md 应该返回 `{right}`。请用工具在仓库里找到原因并改正，"
        "其他函数要照常工作。完成后请简短说明改了什么。",
        "fixed": "我在 {path} 里找到了错误并已改正，测试通过。",
        "readme": "# Toolbox\n\ntoolbox/report.py 里的 `{signature}` 按顺序完成以下各步：\n{steps}\n\n"
        "各步是 toolbox/steps.py 里的函数，各自做的事见其文档字符串。\n",
    },
}


def of_words(steps: Sequence[Mapping[str, Any]], language: str) -> list[str]:
    """What a word is, where a step works on words: the steps before it may have left spaces side by side, or digits."""
    return [WORDS[language]["words"]] if any("word" in step["name"] for step in steps) else []
