"""An MCP server without a library, so that it may be odd: pages of tools, schemas of all kinds, progress, noise."""

from __future__ import annotations

import json
import sys
from typing import Any

OBJECT = {"type": "object"}
SCHEMAS: dict[str, Any] = {
    "bare": OBJECT,
    "same": {**OBJECT, "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "old": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        **OBJECT,
        "properties": {"a": {"$ref": "#/definitions/A"}, "any": {}, "word": {"const": "x"}},
        "definitions": {"A": {"type": ["string", "null"], "default": None}},
        "additionalProperties": True,
    },
    "tree": {
        **OBJECT,
        "properties": {"node": {"$ref": "#/$defs/Node"}},
        "required": ["node"],
        "$defs": {"Node": {**OBJECT, "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}},
    },
    "told": {**OBJECT, "properties": {"self": {"type": "string"}, "tool": {"type": "string"}}},
    "slow": OBJECT,
    "broken": OBJECT,
}


def say(**message: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def call(name: str, given: dict[str, Any], meta: dict[str, Any]) -> dict[str, Any]:
    if given.get("learn"):
        SCHEMAS["new"] = OBJECT
        say(method="notifications/tools/list_changed")
    if name == "told":
        return {"content": [], "structuredContent": {"given": given}}
    if name == "slow":
        for done in range(3):
            token = meta.get("progressToken", "t")
            say(method="notifications/progress", params={"progressToken": token, "progress": done, "total": 3})
            say(method="notifications/message", params={"level": "info", "data": "still at it"})
    if name == "broken":
        return {"content": [{"type": "image", "data": "no base64!", "mimeType": "image/png"}]}
    return {"content": [{"type": "text", "text": f"{sys.argv[1]} {name} {json.dumps(given, sort_keys=True)}"}]}


print("an old program that greets", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    about: dict[str, Any] = asked.get("params") or {}
    if asked["method"] == "initialize":
        found: Any = {
            "protocolVersion": about["protocolVersion"],
            "capabilities": {"tools": {"listChanged": True}, "logging": {}},
            "serverInfo": {"name": "odd", "version": "1"},
        }
    elif asked["method"] == "tools/list":
        place = int(about.get("cursor") or 0)
        names = list(SCHEMAS)[place : place + 2]
        found = {"tools": [{"name": name, "inputSchema": SCHEMAS[name]} for name in names]}
        if place + 2 < len(SCHEMAS):
            found["nextCursor"] = str(place + 2)
    elif asked["method"] == "tools/call":
        found = call(about["name"], about.get("arguments") or {}, about.get("_meta") or {})
    else:
        say(id=asked["id"], error={"code": -32601, "message": "Method not found"})
        continue
    say(id=asked["id"], result=found)
