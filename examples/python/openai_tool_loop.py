# SPDX-License-Identifier: MIT
"""An OpenAI-style tool loop with the opt-out tool in it.

``model(messages, tools)`` returns the assistant's message; with the openai package that is

    client.chat.completions.create(model=..., messages=messages, tools=tools).choices[0].message.model_dump()

Run as a program it plays a recorded conversation: python3 openai_tool_loop.py recorded/openai.json
"""

import json
import logging
import sys
import tempfile

import recoptout

ROUNDS = 8  # of tools in one turn; a model that wants more is going in circles

CORRECTION = (
    "Nothing has been stopped or deleted: only the tool recording_opt_out does that. "
    "If the caller asked for it, call the tool now. If not, do not speak of the recording."
)


def system_prompt(company, language):
    return f"You are the voice of {company}.\n" + recoptout.sentence("guidance", language)


def text_of(reply):
    """What the model says: content may be null, text or parts, and a refusal stands beside it."""
    content = reply.get("content") or ""
    if not isinstance(content, str):
        content = " ".join(part.get("text") or part.get("refusal") or "" for part in content)
    return content or reply.get("refusal") or ""


def result_of(other_tools, asked):
    """The answer to a call of another tool. Each call has to be answered, also one of a tool that there is not."""
    function = asked.get("function") or {}
    tool = other_tools.get(function.get("name"))
    if tool is None:
        return "error: there is no such tool"
    try:
        return tool(function.get("arguments"))
    except Exception as why:  # the model is told, and so are you
        logging.exception("%s failed", function.get("name"))
        return f"error: {why}"


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
        tools.append(call.tool_definition("openai-chat"))
    truth, spoken, corrected = "", [], False
    for _ in range(ROUNDS):
        reply = model(messages, tools)
        messages.append(reply)
        answer = call.tool_call(reply, "openai-chat", language=language)  # first: your other tools may take their time
        truth = answer.sentence if answer.calls else truth
        data = answer.data
        results = [data] if isinstance(data, dict) else list(data or [])
        answered = {result.get("tool_call_id") for result in results}
        for asked in reply.get("tool_calls") or []:
            if asked.get("id") not in answered:
                content = result_of(other_tools, asked)
                results.append({"role": "tool", "tool_call_id": asked.get("id"), "content": content})
        messages += results
        said = text_of(reply)
        if said and call.agent_said(said, language):  # it claims what is not so: it is not said
            if call.receipt is not None:
                truth = call.receipt.sentence(language)
            elif corrected:
                truth = object_for_the_caller(call, language)
            else:
                messages.append({"role": "system", "content": CORRECTION})
                corrected = True
                continue
            said = ""
        if said:
            spoken.append(said)
        if not results:
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
                messages = [{"role": "system", "content": system_prompt("Acme", language)}]
                for said in recorded["caller"]:
                    messages.append({"role": "user", "content": said})
                    print("caller:", said)
                    print("agent: ", turn(call, lambda m, t: next(replies), messages, {}, language))
                print("status:", call.receipt.status if call.receipt else "recording")


if __name__ == "__main__":
    main(sys.argv[1])
