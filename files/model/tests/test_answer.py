"""Chunks become one document: choices, tool calls, probabilities and counts."""

from __future__ import annotations

import json
from typing import Any

from conftest import delta, usage

from model_server import answer


def whole(chunks: list[dict[str, Any] | None]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(b"".join(answer.document(chunks, "m")))
    return result


def test_several_choices_share_one_usage() -> None:
    chunks = [
        delta(1, content="b"),
        delta(0, content="a"),
        delta(0, "stop"),
        usage(1),
        None,
        delta(1, content="c"),
        delta(1, "length"),
        usage(2),
    ]
    result = whole(chunks)
    assert [choice["message"]["content"] for choice in result["choices"]] == ["a", "bc"]
    assert [choice["finish_reason"] for choice in result["choices"]] == ["stop", "length"]
    expected = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    assert result["usage"] == expected


def test_a_stream_of_several_choices_has_one_usage() -> None:
    events = b"".join(
        answer.events([delta(0, "stop"), usage(1), delta(1, "stop"), usage(2)], "m", usage=True)
    )
    assert events.count(b'"usage"') == 1
    assert b'"total_tokens":8' in events


def test_tool_calls_are_put_together() -> None:
    function = {"name": "weather", "arguments": ""}
    result = whole(
        [
            delta(role="assistant", content=None),
            delta(tool_calls=[{"index": 0, "id": "a", "type": "function", "function": function}]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": '{"city":'}}]),
            delta(tool_calls=[{"index": 0, "function": {"arguments": '"Paris"}'}}]),
            delta(tool_calls=[{"index": 1, "id": "b", "function": function}]),
            delta(finish_reason="tool_calls"),
        ]
    )
    message = result["choices"][0]["message"]
    assert message["content"] is None
    assert [call["id"] for call in message["tool_calls"]] == ["a", "b"]
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}


def test_an_empty_answer_is_an_empty_text() -> None:
    assert whole([delta(finish_reason="stop")])["choices"][0]["message"]["content"] == ""


def test_reasoning_and_probabilities_are_kept() -> None:
    first, second = delta(reasoning_content="Hm"), delta(reasoning_content="m", content="Yes")
    for chunk, token in ((first, "a"), (second, "b")):
        chunk["choices"][0]["logprobs"] = {"content": [{"token": token}]}
    choice = whole([first, second])["choices"][0]
    assert choice["message"]["reasoning_content"] == "Hmm"
    assert [entry["token"] for entry in choice["logprobs"]["content"]] == ["a", "b"]
