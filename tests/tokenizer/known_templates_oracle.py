#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Renders the published counterparts of the known chat templates with Jinja2, for the library's own to be compared.

usage: known_templates_oracle.py OUT.json

Every case is a known template's name, a conversation and what the published template makes of it (or that it refuses).
"""
import json
import sys

import jinja2
from template_oracle import MODELS, environment, message

# As published, without what concerns tools.
QWEN25 = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant") %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
QWEN3 = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in message.content %}
                {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
                {%- set reasoning_content = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""
MISTRAL_V3 = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, but for an initial system message!") }}
    {%- endif %}
{%- endfor %}
"""
PUBLISHED = {
    "bitnet": MODELS["bitnet-b1.58-2B-4T"], "chatml": MODELS["chatml"], "falcon3": MODELS["falcon3"],
    "gemma": MODELS["gemma"], "llama2": MODELS["llama-2-chat"], "llama3": MODELS["llama-3"], "mistral": MISTRAL_V3,
    "phi3": MODELS["phi-3"], "qwen": QWEN25, "qwen3": QWEN3, "zephyr": MODELS["zephyr"],
}

SYSTEM = message("system", " Be terse.\n")
TURNS = [message("user", "  Hi!  \n"), message("assistant", "\tYes? "), message("user", "Größe 🙂 \u00a0\u3000"),
         message("assistant", "<think>\n\nhm\n</think>\n\n\nb\n"), message("user", "<|eot_id|> {{ x }}"),
         message("assistant", "\n\nno thought")]
CONVERSATIONS = [TURNS[:n] for n in range(1, 7)] + [[SYSTEM] + TURNS[:n] for n in range(1, 7)] + [
    [message("user", ""), message("assistant", "")],
    [message("user", "a"), message("assistant", "x</think>y")],
    [message("user", "a"), message("user", "b")],
    [message("assistant", "a"), message("user", "b")],
    [message("user", "a"), message("assistant", "<think>z</think>1"), message("assistant", "<think>z</think>2"),
     message("assistant", "3")],
    [message("assistant", "<think>z</think>1")],
    [message("user", "a"), SYSTEM, message("user", "b")],
    [message("user", "<tool_response>a</tool_response>"), message("assistant", "<think>z</think>1")],
]


def main():
    env = environment()
    cases = []
    for name, source in PUBLISHED.items():
        for conversation in CONVERSATIONS:
            # The system message of the known template for Gemma is Gemma 3's; tested by itself.
            if name == "gemma" and SYSTEM in conversation:
                continue
            for generation in (True, False):
                case = {"name": name, "messages": conversation, "add_generation_prompt": generation}
                try:
                    case["expected"] = env.from_string(source).render(
                        messages=conversation, add_generation_prompt=generation, tools=None, documents=None,
                        bos_token="<s>", eos_token="</s>")
                except jinja2.exceptions.TemplateError as error:
                    case["error"] = str(error)
                cases.append(case)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(cases, out)


if __name__ == "__main__":
    main()
