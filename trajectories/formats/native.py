"""The project's own columns, with JSON columns or, for readers that know no Arrow JSON type, as plain text.

Nothing is read that need not be: batches keep the texts of their JSON columns.
"""

import pyarrow as pa
import pyarrow.compute as pc

from trajectories.codec import TRAJECTORY_SCHEMA
from trajectories.formats.format import Format, Group, Made
from trajectories.formats.settings import FormatSettings

__all__ = ["FORMAT", "as_text", "text_schema"]


def text_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` with text where it has JSON. A list of JSON values is one text, of a JSON array."""
    return pa.schema([pa.field(field.name, pa.string() if _is_json(field.type) else field.type) for field in schema])


def as_text(table: pa.Table) -> pa.Table:
    """The table with the columns of `text_schema`; JSON texts are joined, never read."""
    columns = [
        _text_column(column) if _is_json(field.type) else column
        for field, column in zip(table.schema, table.columns, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=text_schema(table.schema))


def _is_json(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.JsonType) or (pa.types.is_list(kind) and isinstance(kind.value_type, pa.JsonType))


def _text_column(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if isinstance(column.type, pa.JsonType):
        return column.cast(pa.string())
    joined = pc.binary_join(column.cast(pa.list_(pa.string())), ",")
    return pc.binary_join_element_wise("[", joined, "]", "")


def _make(group: Group, settings: FormatSettings) -> Made:
    return Made(rows=[dict(row) for row in group.rows])


FORMAT = Format(
    name="native",
    make=_make,
    columns=tuple(TRAJECTORY_SCHEMA.names),
    typed=TRAJECTORY_SCHEMA,
    text=text_schema(TRAJECTORY_SCHEMA),
)
