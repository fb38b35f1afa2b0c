# SPDX-License-Identifier: MIT
"""An Anthropic-style tool loop with the opt-out tool in it.

``model(messages, tools)`` returns the assistant's message; with the anthropic package that is

    client.messages.create(model=..., max_tokens=1024, system=system_prompt("Acme", "de"), messages=messages,
                           tools=tools).model_dump()

Run as a program it plays a recorded conversation: python3 anthropic_tool_loop.py recorded/anthropic.json
"""

import json
import logging
import sys
import tempfile

import recoptout

ROUNDS = 8  # of tools in one turn; a model that wants more is going in circles

CORRECTION = (
    "Nothing has been stopped or deleted: only the tool recording_opt_out does that. "
    "If I asked for it, call the tool now. If not, do not speak of the recording."
)


def system_prompt(company, language):
    return f"You are the voice of {company}.\n" + recoptout.sentence("guidance", language)


def text_of(reply):
    """What the model says. A refusal may come without any."""
    return " ".join(block["text"] for block in reply.get("content") or [] if block.get("type") == "text")


def result_of(other_tools, block):
    """The answer to a call of another tool. Each call has to be answered, also one of a tool that there is not."""
    result = {"type": "tool_result", "tool_use_id": block.get("id")}
    tool = other_tools.get(block.get("name"))
    if tool is None:
        return {**result, "content": "there is no such tool", "is_error": True}
    try:
        return {**result, "content": tool(block.get("input"))}
    except Exception as why:  # the model is told, and so are you
        logging.exception("%s failed", block.get("name"))
        return {**result, "content": str(why), "is_error": True}


def object_for_the_caller(call, language):
    """The model says again what it was told not to be so, and does not call the tool: its words are the objection."""
    try:
        receipt = call.opt_out(source="agent-claim")
    except recoptout.RecoptoutError as why:
        receipt = getattr(why, "receipt", None)
    return receipt.sentence(language) if receipt else recoptout.sentence("error", language)


def turn(call, model, messages, other_tools, language):
    """Let the model speak until it has no more tools to call. Returns what is to be said to the caller, "" for nothing."""
    tools = [tool.definition for tool in other_tools.values()]  # yours: anything with a definition that can be called
    if call.opt_out_enabled:  # otherwise the agent has no such tool
        tools.append(call.tool_definition("anthropic"))
    truth, spoken, corrected = "", [], False
    for _ in range(ROUNDS):
        reply = model(messages, tools)
        content = reply.get("content") or []
        if content:  # the platform takes no message that is empty
            messages.append({"role": "assistant", "content": content})
        answer = call.tool_call(reply, "anthropic", language=language)  # first: your other tools may take their time
        truth = answer.sentence if answer.calls else truth
        # All results of one message go back in one message, before anything else that is said in it.
        data = answer.data
        results = [data] if isinstance(data, dict) else list(data or [])
        answered = {result.get("tool_use_id") for result in results}
        for block in content:
            if block.get("type") == "tool_use" and block.get("id") not in answered:
                results.append(result_of(other_tools, block))
        said = text_of(reply)
        correct = False
        if said and call.agent_said(said, language):  # it claims what is not so: it is not said
            if call.receipt is not None:
                truth = call.receipt.sentence(language)
            elif corrected:
                truth = object_for_the_caller(call, language)
            else:
                correct = corrected = True
            said = ""
        if said:
            spoken.append(said)
        if results or correct:
            words = [{"type": "text", "text": CORRECTION}] if correct else []
            messages.append({"role": "user", "content": results + words})
        elif reply.get("stop_reason") != "pause_turn":  # a tool on the platform's side goes on when it is asked again
            return " ".join(spoken + ([truth] if truth and not said else []))
    return truth or recoptout.sentence("error", language)


def main(path):
    with open(path, encoding="utf-8") as file:
        recorded = json.load(file)
    replies = iter(recorded["replies"])
    language = recorded["language"]
    with tempfile.TemporaryDirectory() as folder:
        with recoptout.Engine(folder + "/state", folder + "/out", opt_out_enabled=True) as engine:
            with engine.session(recorded["call_id"]) as call:
                leg = call.add_leg("caller")
                call.start()
                call.push(leg, b"\xff" * 160)
                messages = []
                for said in recorded["caller"]:
                    messages.append({"role": "user", "content": said})
                    print("caller:", said)
                    print("agent: ", turn(call, lambda m, t: next(replies), messages, {}, language))
                print("status:", call.receipt.status if call.receipt else "recording")


if __name__ == "__main__":
    main(sys.argv[1])
