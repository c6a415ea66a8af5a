"""Logs: one JSON object a line on standard output, with the request id of the request at hand."""

import logging
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson
import structlog

Format = Literal["json", "console"]


def configure(level: str = "INFO", output: Format = "json") -> None:
    """Set up structlog, and send what libraries log through it too. `level` is a name such as INFO."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    factory: Any = structlog.BytesLoggerFactory()
    render: structlog.types.Processor = structlog.processors.JSONRenderer(serializer=orjson.dumps)
    render_text: structlog.types.Processor = structlog.processors.JSONRenderer(serializer=_json_text)
    if output == "console":
        factory = structlog.PrintLoggerFactory()
        render = render_text = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render_text],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.INFO), force=True)
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)  # below that they tell whole URLs
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"  # the requests have a line of their own


def get_logger(name: str) -> Any:
    """A logger whose lines say that they come from `name`."""
    return structlog.get_logger(component=name)


def info_each(name: str, event: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """A line of the level INFO for each of these, by the logger of this name: all of one moment, in one piece."""
    if not get_logger(name).is_enabled_for(logging.INFO):
        return
    configured = structlog.get_config()
    *adding, render = configured["processors"]
    shared: Any = {"event": event, "component": name}
    for add in adding:
        shared = add(None, "info", shared)
    rendered = [render(None, "info", {**shared, **line}) for line in lines]
    if rendered:
        end = b"\n" if isinstance(rendered[0], bytes) else "\n"
        configured["logger_factory"]().info(end.join(rendered))


def places(error: BaseException) -> list[str]:
    """`file:line function` of each frame of an error, the innermost last, and the same of what caused it.

    That is what can be logged of a defect: its text may quote values.
    """
    found = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    cause = error.__cause__ or error.__context__
    if cause is None:
        return found
    return [*found, f"caused by {type(cause).__name__}", *places(cause)]


def _json_text(event: Any, **options: Any) -> str:
    return orjson.dumps(event, **options).decode()
