"""Lists of tools that cannot be used are refused, with the tool and the field."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulators.played import ToolListError, load_tools, parse_tools
from tests.simulators.played.notes import TOOLS


def test_json_and_yaml_and_a_bare_list_give_the_same_tools(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps({"tools": TOOLS, "nextCursor": None}))
    (tmp_path / "tools.yaml").write_text(yaml.safe_dump({"tools": TOOLS}))
    (tmp_path / "bare.yml").write_text(yaml.safe_dump(copy.deepcopy(TOOLS)))
    read = [load_tools(tmp_path / name) for name in ("tools.json", "tools.yaml", "bare.yml")]
    assert read[0] == read[1] == read[2] == parse_tools(TOOLS)
    assert [tool.to_mcp() for tool in read[0]] == [{"description": ""} | tool for tool in TOOLS]


@pytest.mark.parametrize(
    ("number", "changed", "message"),
    [
        (1, {"outputschema": {}}, r"tool put_note: outputschema: MCP's tools have no such field; did you mean outputSchema\?"),
        (1, {"inputSchema": None}, r"tool put_note: inputSchema: Input should be a valid dictionary"),
        (1, {"inputSchema": {"type": "array"}}, r'tool put_note: inputSchema.type: must be object, not "array"'),
        (1, {"inputSchema": {}}, r"tool put_note: inputSchema.type: must be object, not null"),
        (
            1,
            {"inputSchema": {"type": "object", "properties": {"id": {"type": "sting"}}}},
            r"tool put_note: inputSchema.properties.id.type: the value is not valid",
        ),
        (0, {"outputSchema": {"type": "object", "required": "text"}}, r"tool get_note: outputSchema.required: the value is not"),
        (0, {"outputSchema": {"type": "object", "$ref": "file:///etc/passwd"}}, r"tool get_note: outputSchema\..*passwd"),
        (0, {"outputSchema": {"type": "object", "$ref": "http://127.0.0.1:1/s"}}, r"tool get_note: outputSchema\..*127"),
        (0, {"outputSchema": {"type": "object", "$ref": "#/$defs/none"}}, r"tool get_note: outputSchema\."),
        (
            0,
            {"annotations": {"readOnlyHint": "true"}},
            r"tool get_note: annotations.readOnlyHint: Input should be a valid boolean",
        ),
        (0, {"description": 5}, r"tool get_note: description: Input should be a valid string"),
        (2, {"name": "get_note"}, r"tool get_note: name: another tool has it already"),
        (2, {"name": "get note"}, r"tool get note: name: Allowed characters"),
        (2, {"name": ""}, r"tool number 3: name: Tool name cannot be empty"),
        (2, {"name": None}, r"tool number 3: name: Input should be a valid string"),
    ],
)
def test_what_is_wrong_with_a_tool_is_named(number: int, changed: dict[str, Any], message: str) -> None:
    tools = copy.deepcopy(TOOLS)
    tools[number] |= changed
    with pytest.raises(ToolListError, match=rf"^tools: {message}"):
        parse_tools({"tools": tools})


def test_a_schema_never_reads_a_file_that_it_refers_to(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text('{"type": "object"}')
    schema = {"type": "object", "$ref": (tmp_path / "real.json").as_uri()}
    with pytest.raises(ToolListError, match="Retrieval is disabled"):
        parse_tools([TOOLS[0] | {"inputSchema": schema}])


@pytest.mark.parametrize("field", ["name", "inputSchema"])
def test_a_field_that_is_missing_is_named(field: str) -> None:
    tools = copy.deepcopy(TOOLS)
    del tools[1][field]
    with pytest.raises(ToolListError, match=rf": {field}: Field required$"):
        parse_tools(tools)


@pytest.mark.parametrize(
    "document", [None, "tools", 3, [], {}, {"tools": []}, {"tools": {"get": {}}}, {"result": {"tools": TOOLS}}]
)
def test_what_is_no_list_of_tools_is_refused(document: Any) -> None:
    with pytest.raises(ToolListError, match="^tools: must be a list of MCP tools that is not empty"):
        parse_tools(document)
    with pytest.raises(ToolListError, match="^tools: tool number 1: must be an object, not int"):
        parse_tools([5])


def test_one_page_of_several_is_not_taken_for_the_whole() -> None:
    with pytest.raises(ToolListError, match="nextCursor is set"):
        parse_tools({"tools": TOOLS, "nextCursor": "2"})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.json", None, "none.json: cannot be read: No such file"),
        ("cut.json", '{"tools": [', "cut.json: not JSON"),
        ("cut.yaml", "tools: [", "cut.yaml:2: not YAML"),
        ("twice.yaml", "tools: []\ntools: []", "twice.yaml:2: tools: this key is already given above"),
        ("empty.yaml", "", "empty.yaml: the file is empty"),
        ("tools.yaml", "tools:\n- name: a\n", "tools.yaml: tool a: inputSchema: Field required"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ToolListError, match=message):
        load_tools(tmp_path / name)
