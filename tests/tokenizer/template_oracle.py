#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Renders chat templates with Jinja2 itself, set up as Hugging Face's apply_chat_template sets it up.

usage: template_oracle.py OUT.json

Every case is a template, a conversation and what Jinja2 made of them (or that it refused them).
"""
import json
import sys

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment


def environment():
    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


# As published with the models; what concerns tools is left out where it is long.
MODELS = {
    "bitnet-b1.58-2B-4T": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = message['role'] | capitalize + ': '+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %}",
    "llama-3": "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "llama-2-chat": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "chatml": "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "qwen2": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "falcon3": """{%- if tools %}
{{- '<|system|>\\n' }}
{%- if messages[0]['role'] == 'system' %}
{{- messages[0]['content'] }}
{%- set remaining_messages = messages[1:] %}
{%- else %}
{%- set remaining_messages = messages %}
{%- endif %}
{{- 'You are a Falcon assistant skilled in function calling.\\n\\n' }}
{{- tools | tojson(indent=2) }}
{%- for message in remaining_messages %}
{{- '<|' + message.role + '|>\\n' + message.content + '\\n' }}
{%- endfor %}
{%- else %}
{%- for message in messages %}
{%- if message['role'] == 'system' %}
{{- '<|system|>\\n' + message['content'] + '\\n' }}
{%- elif message['role'] == 'user' %}
{{- '<|user|>\\n' + message['content'] + '\\n' }}
{%- elif message['role'] == 'assistant' %}
{%- if not loop.last %}
{{- '<|assistant|>\\n'  + message['content'] + eos_token + '\\n' }}
{%- else %}
{{- '<|assistant|>\\n'  + message['content'] + eos_token }}
{%- endif %}
{%- endif %}
{%- if loop.last and add_generation_prompt %}
{{- '<|assistant|>\\n' }}
{%- endif %}
{%- endfor %}
{%- endif %}
""",
    "llama-3.2": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{#- This block extracts the system message, so we can slot it into the right place. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{#- System message #}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "qwen3": """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif loop.first or (messages[loop.index0 - 1].role != "tool") %}
        {{- '<|im_start|>user' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""",
    "phi-3": "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
    "zephyr": "{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n{% endfor %}",
    "gemma": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}",
}


def message(role, content):
    return {"role": role, "content": content}


CONVERSATIONS = [
    [message("user", "Hello, who are you?")],
    [message("system", "You are terse."), message("user", "  Hi!  \n"), message("assistant", "\tYes? "),
     message("user", "Größe 🙂 \u00a0\u3000")],
    [message("user", "a"), message("assistant", "<think>\nhm\n</think>\n\nb"), message("user", "c")],
    [message("user", "a"), message("user", "b")],
    [message("user", "<|eot_id|> {{ x }} {% if %}"), message("assistant", "")],
    [message("user", "q"), message("assistant", "<think>x</think>y")],
    [message("tool", "42"), message("assistant", "")],
    [],
]

# One construct each.
CONSTRUCTS = """
{{ 1 + 2 * 3 - 4 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 8 / 2 }} {{ 1 / 3 }}
{{ 1.5 }} {{ 2.0 }} {{ 1.5 + 1 }} {{ 100000000000000000000.0 }} {{ 0.00001 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1_000 }}
{{ 1 ~ 'a' ~ none ~ true ~ 1.0 ~ nothing }} {{ 'a' 'b' "c" }} {{ 'ab' * 3 }} {{ 3 * 'x' }} {{ 'x' * -1 }}
{{ -1 }} {{ +1 }} {{ --1 }} {{ -1|abs }} {{ - 3 ~ 4 }}
{{ true }} {{ false }} {{ none }} {{ True }} {{ False }} {{ None }} {{ nothing }}
{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 1 == true }} {{ 'a' < 'b' }} {{ 'a' == 1 }} {{ none == none }} {{ 1 != 2 >= 2 }}
{{ [1, 2] == [1, 2] }} {{ {'a': 1} == {'a': 1} }} {{ {'a': 1, 'b': 2} == {'b': 2, 'a': 1} }} {{ nothing == nowhere }}
{{ 'b' in 'abc' }} {{ 'x' not in 'abc' }} {{ 2 in [1, 2] }} {{ 'a' in {'a': 1} }} {{ 1 in {'a': 1} }} {{ 'a' in nothing }}
{{ not true }} {{ not 'a' == 'b' }} {{ true and 0 }} {{ '' or 'x' }} {{ 'x' and 'y' or 'z' }} {{ not not 1 }}
{{ 'yes' if 1 else 'no' }} {{ 'yes' if 0 else 'no' }} {{ 'yes' if 0 }} {{ 1 if 0 else 2 if 0 else 3 }}
{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}{% if 0 %}d{% elif '' %}e{% else %}f{% endif %}
{% for x in [1, 2, 3] %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for x in [] %}a{% else %}empty{% endfor %}{% for x in nothing %}a{% else %}undefined{% endfor %}
{% for x in 'äb🙂' %}[{{ x }}]{% endfor %}{% for k in {'a': 1, 'b': 2} %}{{ k }}{% endfor %}
{% for x in [5, 6, 7] %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for k, v in {'a': 1, 'b': 'x'}.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in {'a': 1}|items %}{{ k }}{{ v }}{% endfor %}
{% for a, b in [[1, 2], (3, 4)] %}{{ a + b }} {% endfor %}{% for (a, b) in [(5, 6)] %}{{ a * b }}{% endfor %}
{% for x in range(10) if x % 2 == 0 %}{{ x }}{{ loop.index }}{{ loop.last }} {% endfor %}
{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in range(3) %}{% for y in range(x) %}{{ x }}{{ y }}{{ loop.index }} {% endfor %}{{ loop.index }};{% endfor %}
{% for x in range(2, 8, 3) %}{{ x }}{% endfor %}{% for x in range(5, 0, -2) %}{{ x }}{% endfor %}{{ range(3)|list|length }}
{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% set ns = namespace(n=0, s='') %}{% for i in [1, 2, 3] %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }}{{ ns.s }}{{ ns.none }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set c = [1, 2][0] %}{{ c }}
{% set x %}a{{ 1 + 1 }}b{% endset %}[{{ x }}]
{% set x = {'a': {'b': [10, 20, 30]}} %}{{ x.a.b[1] }}{{ x['a']['b'][-1] }}{{ x.a['b'].0 }}{{ x.nope }}{{ x.a.b[7] }}
{{ [1, 2, 3, 4, 5][1:3]|join(',') }} {{ [1, 2, 3][::-1]|join(',') }} {{ [1, 2, 3][-2:]|join }} {{ 'abcdef'[1:-1:2] }} {{ 'äöü🙂'[::-1] }} {{ 'abc'[5:] }} {{ 'abc'[-9:2] }} {{ 'abcdef'[4:1:-1] }} {{ 'abc'[:] }} {{ 'äöü'[1] }}
{{ '  a b  '|trim }}| {{ 'xxaxx'|trim('x') }} {{ 'aBC'|upper }} {{ 'aBC'|lower }} {{ 'aBC dE'|capitalize }} {{ "it's aBC-dE x1y"|title }}
{{ 'äöü'|length }} {{ [1, 2]|length }} {{ {'a': 1}|count }} {{ nothing|length }} {{ ''|length }}
{{ nothing|default('d') }} {{ ''|default('d') }} {{ ''|default('d', true) }} {{ none|d('x') }} {{ 0|default('d', boolean=true) }} {{ nothing|default }}
{{ [1, 'a', none]|join('-') }} {{ []|join }} {{ 'abc'|join('.') }} {{ [{'a': 1}, {'a': 2}]|join(',', attribute='a') }}
{{ 'aXbXc'|replace('X', '--') }} {{ 'aaa'|replace('a', 'b', 2) }} {{ 'aaa'.replace('a', 'bb') }} {{ 'aaa'.replace('a', 'b', 1) }}
{{ [1, 2]|first }} {{ [1, 2]|last }} {{ 'ab'|first }} {{ []|first }} {{ [3, 1]|reverse|join }} {{ 'abc'|reverse }}
{{ 'abc'|list|join('.') }} {{ 12|string ~ 'x' }} {{ '42'|int + 1 }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ 3.9|int }} {{ ' 5 '|int }} {{ -3|abs }} {{ 'a'|safe }}
{{ {'a': [1, 'x"\\n\\u00e4', none, true, 1.5], 'b': {}}|tojson }} {{ []|tojson }} {{ 'ä/<>&'|tojson }}
{{ {'a': [1, {'b': []}], 'c': {}}|tojson(indent=2) }} {{ [1, [2]]|tojson(indent=0) }}
{{ ['a', 'b']|map('upper')|join }} {{ [{'a': {'b': 1}}]|map(attribute='a.b')|list|first }} {{ [{'a': 1}, {}]|map(attribute='a', default=9)|join(',') }}
{{ [1, 2, 3, 4]|select('odd')|join }} {{ [1, 2, 3]|reject('equalto', 2)|join }} {{ [0, 1, '']|select|list|length }} {{ [1, 2, 3]|select('>', 1)|join }}
{{ [{'r': 'a', 'n': 1}, {'r': 'b', 'n': 2}]|selectattr('r', 'equalto', 'b')|map(attribute='n')|join }} {{ [{'t': 1}, {}]|selectattr('t')|list|length }} {{ [{'t': 1}, {}]|rejectattr('t', 'defined')|list|length }}
{{ 'x' is defined }} {{ nothing is defined }} {{ nothing is undefined }} {{ none is none }} {{ 1 is not none }} {{ 'a' is string }} {{ 1 is number }} {{ 1 is integer }} {{ true is integer }} {{ 1.5 is float }} {{ true is boolean }} {{ true is true }} {{ 1 is true }} {{ false is false }}
{{ [] is iterable }} {{ 'a' is iterable }} {{ 1 is iterable }} {{ {} is mapping }} {{ [] is mapping }} {{ [] is sequence }} {{ 'a' is sequence }} {{ 1 is sequence }} {{ nothing is iterable }} {{ none is iterable }}
{{ 3 is odd }} {{ 3 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 1 is eq 1 }} {{ 1 is ne(1) }} {{ 1 is lt 2 }} {{ 2 is ge 2 }} {{ 'a' is in ['a'] }} {{ 'A' is upper }} {{ 'a' is lower }} {{ not 1 is odd }} {{ 1 is odd and 2 is even }}
{{ ' x '.strip() }}|{{ ' x '.lstrip() }}|{{ ' x '.rstrip() }}|{{ 'xyax'.strip('xy') }}|{{ '\\n\\u2003a\\u00a0'.strip() }}|
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('bc') }} {{ 'abc'.startswith(('x', 'a')) }} {{ 'abc'.find('c') }} {{ 'äbc'.find('c') }} {{ 'abc'.find('x') }} {{ 'banana'.count('an') }}
{{ 'a,b,,c'.split(',')|join('|') }} {{ ' a  b '.split()|join('|') }} {{ 'a,b,c'.split(',', 1)|join('|') }} {{ ' a  b c '.split(none, 1)|join('|') }}| {{ ','.join(['a', 'b']) }} {{ 'aB'.upper() }} {{ 'aB'.lower() }} {{ 'aB'.capitalize() }} {{ 'ab cd'.title() }}
{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1, 'b': 2}.keys()|join }} {{ {'a': 1, 'b': 2}.values()|join }} {{ dict(a=1).a }}
{{ messages|length }} {{ messages[0].role }} {{ messages[0]['content'] }} {{ messages[-1].role }} {{ tools }} {{ documents is none }} {{ bos_token }}{{ eos_token }}{{ pad_token }}
{{ ((1, 2), 3)|length }} {{ (1,)|length }} {{ ()|length }} {{ (1) }} {{ [1, 2,]|length }} {{ {'a': 1,}|length }}
{{ {'a': {'b': 1}}['a']['b'] }} {{ {'a': {}} is mapping }}{{ '}}' }} {{ "{% if %}" }} {{ '{#' }}
{{ 'a\\tb\\\\c\\'d\\"e\\x41\\u00e9\\U0001f642\\q' }} {{ "it's" }} {{ 'say "x"' }}
{{ strftime_now is defined }} {{ raise_exception is defined and false }}
{% generation %}x{% endgeneration %}
{{ 5 if messages is defined and messages|length > 0 else 6 }}{{ 'a' if not nothing }}
{{ 1 + 'a' }}
{{ nothing.x }}
{{ nothing + 'a' }}
{{ 'a' + 1 }}
{{ 1 // 0 }}
{{ 1 < 'a' }}
{{ raise_exception('no') }}
{{ 'a'.nope.x }}
{% for a, b in [[1]] %}{% endfor %}
{% if %}{% endif %}
{% if 1 %}
{% endif %}
{{ 1 + }}
{{ (1 }}
{% for x in %}{% endfor %}
{{ 'a }}
{# open
{{ 1 ]}}
{% set 1 = 2 %}
{% set x.y = 1 %}
{{ 2 ** 3 }} {{ 2 ** -1 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 2.5 ** 2 }} {{ 2 ** 3 * 2 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1e3 }} {{ 1.5e-2 }} {{ 2E2 }}
{% macro m(a, b=2, c='x' ~ b) %}{{ a }}-{{ b }}-{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=4) }} {{ m(b=1, a=2) }} {{ m() }} {{ m(*[1, 2]) }} {{ m(**{'a': 5}) }}
{% macro m(a) %}{{ varargs }}{{ kwargs }}{{ a }}{% endmacro %}{{ m(1, 2, 3, x=4) }} {{ m() }} {% macro n(a) %}{{ a }}{% endmacro %}{{ n(1) ~ n('b') | upper }}
{% macro n(a) %}{{ a }}{% endmacro %}{{ n(1, 2) }}
{% macro n(a) %}{{ a }}{% endmacro %}{{ n(b=2) }}
{% macro f(n) %}{% if n > 0 %}{{ n }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }} {{ f is defined }} {{ f.name }}
{% macro box(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call box('a') %}in{{ 1 }}{% endcall %}{% call box('b') %}{% call box('c') %}x{% endcall %}{% endcall %}
{% macro each(l) %}{% for i in l %}{{ caller(i, i * 2) }};{% endfor %}{% endmacro %}{% call(a, b=9) each([1, 2]) %}{{ a }}/{{ b }}{% endcall %}
{% macro c() %}{{ caller is defined }}{% endmacro %}{{ c() }}
{% set x = 1 %}{% macro m() %}{{ x }}{% set x = 5 %}{{ x }}{% endmacro %}{{ m() }}{% set x = 2 %}{{ m() }}{{ x }}
{% for i in [1, 2] %}{% macro m(a) %}{{ a }}{{ i }}{% endmacro %}{{ m('a') }}{% endfor %}
{% set ns = namespace(f=none) %}{% macro m() %}M{% endmacro %}{% set ns.f = m %}{{ ns.f() }}{{ {'g': m}.g() }}
{% filter upper %}ab{{ 'c' }}{% endfilter %}{% filter replace('a', 'b') | trim %} xa {% endfilter %}{% set y | upper %}q{% endset %}{{ y }}{% set z | replace('a', 'b') | title %}aa a{% endset %}{{ z }}
{% with a=1, b=2 %}{{ a }}{{ b }}{% set a = 3 %}{{ a }}{% endwith %}{{ a }}{% set a = 7 %}{% with a = 1, b = a %}{{ b }}{% endwith %}{% with %}{% set q = 1 %}{% endwith %}{{ q }}
{% raw %}{{ x }}{% if %}{# c #}{% endraw %}|{%- raw -%} a {{ }} {%- endraw -%} b {% raw %}{% endraw %}
{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb\\n\\nc'|indent(2, true) }}|{{ 'a\\n\\nb'|indent(1, blank=true) }}|{{ 'a\\r\\nb'|indent('> ') }}|{{ ''|indent(first=true) }}|{{ 'a\\n'|indent }}|
{{ 'a\\nb\\r\\nc\\x0bd\\u2028e\\n'.splitlines() }} {{ 'a\\nb'.splitlines(true) }} {{ ''.splitlines() }} {{ '\\n'.splitlines() }}
{{ '%s-%d-%05.2f-%x|%5s|%-5s|%+d' % ('a', 3, 1.5, 255, 'b', 'c', 4) }} {{ '%s' % 'x' }} {{ '%s' % [1, 2] }} {{ '%(a)s%%' % {'a': 1} }} {{ 'x'|format }} {{ '%s %s'|format(1, 'b') }} {{ '%(k)s'|format(k=2) }} {{ '%r' % 'a' }} {{ '%.3s|%c|%e|%g' % ('abcdef', 'x', 12345.678, 0.0001) }} {{ '%i' % 3.9 }} {{ '%6.2f|%-8.3e|%08d|% d' % (3.14159, 31415.9, -42, 5) }}
{{ '%s %s' % 'a' }}
{{ '%s' % ('a', 'b') }}
{{ '{} {}'.format(1, 'a') }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x:>5}|{x:<5}|{x:^5}|{x:*^6}'.format(x='ab') }} {{ '{:.2f} {:05d} {:x} {:,} {:+}'.format(3.14159, 42, 255, 1234567, 5) }} {{ '{{}}'.format() }} {{ '{!r}'.format('a') }} {{ '{0[k]} {0[l][1]}'.format({'k': 1, 'l': [1, 2]}) }} {{ '{:.1%}'.format(0.256) }} {{ '{:e} {:g} {:>8.3f}|'.format(1234.5, 0.00001, 2.5) }} {{ '{}'.format([1, 'a']) }} {{ '{:5}|{:5}|'.format('a', 1) }}
{{ '{}'.format() }}
{{ [3, 1, 2]|sort }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A', 'c']|sort(case_sensitive=true) }} {{ [3, 1]|sort(reverse=true) }} {{ [{'a': 2, 'b': 1}, {'a': 1, 'b': 2}]|sort(attribute='a')|map(attribute='b')|list }} {{ [{'a': 1, 'b': 2}, {'a': 1, 'b': 1}]|sort(attribute='a,b') }} {{ [(2, 'a'), (1, 'b')]|sort }} {{ [[1, 2], [1]]|sort }}
{{ {'b': 1, 'A': 2}|dictsort }} {{ {'b': 1, 'A': 2}|dictsort(true) }} {{ {'b': 1, 'a': 2}|dictsort(by='value', reverse=true) }}
{{ [1, 2, 1, 'a', 'A']|unique|list }} {{ ['a', 'A']|unique(true)|list }} {{ [3, 1, 2]|min }} {{ [3, 1, 2]|max }} {{ ['b', 'A']|min }} {{ []|max }} {{ [{'a': 2}, {'a': 1}]|min(attribute='a') }} {{ [1, 2, 3]|sum }} {{ [{'a': 1}, {'a': 2}]|sum(attribute='a') }} {{ [1]|sum(start=2) }} {{ [0.5, 1]|sum }}
{% for k, l in [{'r': 'b', 'n': 1}, {'r': 'a', 'n': 2}, {'r': 'b', 'n': 3}]|groupby('r') %}{{ k }}{{ l }};{% endfor %}{% for g in [{'r': 1}, {'r': 1}]|groupby('r') %}{{ g.grouper }}{{ g.list|length }}{{ g }}{% endfor %}
{{ [1, 2, 3, 4, 5]|batch(2)|list }} {{ [1, 2, 3]|batch(2, 0)|list }} {{ [1, 2, 3, 4, 5]|slice(2)|list }} {{ [1, 2, 3, 4]|slice(3, 'x')|list }}
{{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42|round }} {{ 1.21|round(1, 'ceil') }} {{ 1.29|round(1, 'floor') }} {{ 42.55|round|int }} {{ -0.5|round }}
{{ 'foo bar  baz_1'|wordcount }} {{ 'abcdefghij'|truncate(5) }} {{ 'foo bar baz qux'|truncate(9, false, '...', 0) }} {{ 'foo bar baz qux'|truncate(9, true, leeway=0) }} {{ 'ab'|center(6) }}| {{ 'ab'|center(5) }}| {{ '<a href="x">&\\''|e }} {{ 'a b/c?ä'|urlencode }} {{ {'a': 'b c', 'd': 1}|urlencode }}
{{ '3.9'|int }} {{ '0x1F'|int(base=16) }} {{ 'ff'|int(0, 16) }} {{ '1.5'|float + 1 }} {{ 'x'|float }} {{ '1e3'|float }} {{ 3|float }} {{ '1_000'|int }} {{ none|int }} {{ ''|int(5) }} {{ true|int }} {{ ' 2.5 '|float }}
{{ 'abc'.index('c') }} {{ 'abcabc'.rfind('b') }} {{ 'abcabc'.find('b', 2) }} {{ 'äbäb'.find('b', 2, 4) }} {{ 'abc'.find('', 5) }} {{ 'abcabc'.count('b', 3) }} {{ 'abc'.count('') }} {{ 'abc'.startswith('b', 1) }} {{ 'abc'.endswith(('x', 'b'), 0, 2) }} {{ 'abcabc'.rindex('a') }}
{{ 'abc'.index('x') }}
{{ '12'.isdigit() }} {{ '1a'.isdigit() }} {{ ''.isdigit() }} {{ 'ab'.isalpha() }} {{ 'a1'.isalnum() }} {{ ' \\t'.isspace() }} {{ 'AB1'.isupper() }} {{ 'ab'.islower() }} {{ '1'.isupper() }} {{ 'ÄÖ'.isupper() }} {{ 'äÖ'.islower() }} {{ '12'.isnumeric() }} {{ '12'.isdecimal() }}
{{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ 'ab'.center(5, '*') }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'a'.partition('x') }} {{ 'a'.rpartition('x') }} {{ 'abc'.removeprefix('ab') }} {{ 'abc'.removesuffix('bc') }} {{ 'abc'.removeprefix('x') }}
{{ 'a b c'.rsplit(' ', 1) }} {{ ' a b  c '.rsplit(none, 1) }} {{ 'a,b'.rsplit(',') }} {{ 'abc'.replace('', '-') }} {{ 'ab'|replace('', '.') }} {{ 'a-b'.split('-', -1) }} {{ ''.split() }} {{ ''.split(',') }} {{ ' a b '.split(' ') }}
{{ 'straße ΣΑΣ ǆ ŉ İ ﬁ'.upper() }} {{ 'STRASSE ΟΔΟΣ ΣΑΣ Σ ÄÖ İ'.lower() }} {{ 'ǆ ﬁ éa ΣΑΣ'.title() }} {{ 'éCOLE ΟΔΟΣ'.capitalize() }} {{ 'éCOLE-ΟΔΟΣ (ßa'|title }} {{ 'ÀÉ'|lower }} {{ 'àé'|upper }} {{ 'ßx'|capitalize }} {{ 'ä' is lower }} {{ 'Ä' is upper }} {{ 'ÄÖ'|lower|upper }}
{{ [1, 'a\\'b', "q\\"'", none, true, 1.5, [], {}, (1,), (), (1, 2)] }} {{ {'a': 1, 2: [3], none: 'x', (1, 2): 0} }} {{ ['ä\\n\\t\\\\\\x00\\u200b\\ue000🙂'] }} {{ messages }} {{ [nothing] }}
{{ {1: 'a', 1.5: 'b'}[1] }} {{ {1: 'a'}[true] }} {{ {'a': 1}['b'] }} {{ {(1, 2): 'x'}[(1, 2)] }} {{ {1: 2, true: 3, none: 4, 1.5: 5}|tojson }} {{ 'a' in {'a': none} }} {{ 1 in {1: 2} }}
{{ {[1]: 2} }}
{{ (1, 2) == [1, 2] }} {{ (1, 2) == (1, 2) }} {{ [1, 2] < [1, 3] }} {{ (1, 2) + (3,) }} {{ [1] + [2] }} {{ [1, 2] * 2 }} {{ (1,) * 2 }} {{ [] == [] }} {{ [[1], {'a': [2]}] == [[1], {'a': [2]}] }}
{{ [1] + (2,) }}
{{ [1, 2] < [1, 'a'] }}
{% set g = [1, 2]|map('string') %}{{ g|list }}{{ g|list }} {{ 'yes' if []|select else 'no' }} {{ 'yes' if {}.items() else 'no' }} {{ 'yes' if range(0) else 'no' }} {{ none|selectattr('a')|list }} {{ none|map('upper')|list }} {{ 2 in range(3) }} {{ range(3)[1] }} {{ range(3)|length }}
{{ ([1]|map('string'))|length }}
{% for x in range(3) %}{{ loop.cycle('a', 'b') }}{{ loop.depth }}{{ loop.depth0 }}{{ loop.changed(x // 2) }} {% endfor %}
{% for n in [{'v': 1, 'c': [{'v': 2, 'c': []}, {'v': 3, 'c': [{'v': 4, 'c': []}]}]}] recursive %}[{{ n.v }}{{ loop.depth }}{{ loop(n.c) }}]{% endfor %}
{% for n in [{'v': 1, 'c': [{'v': 2}]}] if n.v recursive %}({{ n.v }}{% if n.c %}{{ loop(n.c) }}{% endif %}){% else %}none{% endfor %}
{% set l = [] %}{% for x in [1, 2, 3] if x > 1 %}{{ loop.index }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}{% for x in [1] %}{% for y in [1] %}{{ loop.depth }}{% endfor %}{% endfor %}
{% for a, (b, c) in [[1, [2, 3]], [4, [5, 6]]] %}{{ a }}{{ b }}{{ c }} {% endfor %}{% for (a, b) in [[1, 2]] %}{{ a }}{{ b }}{% endfor %}{% set (a, b) = 'xy' %}{{ a }}{{ b }}
{% for x in [1, 2] %}{% for y in [1, 2, 3] %}{% if y == 2 %}{% continue %}{% endif %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{{ y }} {% else %}e{% endfor %}{% endfor %}
{% for x in [1, 2, 3] %}{% set y %}{% if x == 2 %}{% break %}{% endif %}{{ x }}{% endset %}{{ y }}{% endfor %}|
{% set outer = namespace(l=none) %}{% for x in [1, 2] %}{% set o = loop %}{% for y in [1] %}{{ o.index }}{% endfor %}{% endfor %}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}{% set j = joiner('|') %}{{ j() }}x{{ j() }}y{{ j() }}
{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns['b'] }}{% set ns.c %}x{{ 1 }}{% endset %}{{ ns.c }} {{ dict({'a': 1}, b=2) }} {{ dict([['x', 1]]) }}
{{ 'a' if 1 if 0 else 'b' }} {{ 1 if 0 if 1 }} {{ (1 if 0 else 2) + 3 }} {{ [1 if 1 else 2, 3 if 0 else 4] }} {{ 'x' if (1 if 0 else 0) else 'y' if 0 else 'z' }} {{ not 1 if 0 else not 0 }} {{ 1 or 0 if 0 else 5 and 6 }} {{ {'a': 1 if 0 else 2}['a' if 1 else 'b'] }}
{{ 1 < 2 == true }} {{ 1 < 2 < 3 < 4 }} {{ 3 > 2 > 2 }} {{ 1 in [1] in [[1]] }} {{ not 1 in [2] }} {{ 1 == 1 and 2 == 2 or 0 }} {{ 1 + 2 ~ 3 * 4 }} {{ 1 ~ 2 + 3 }} {{ -1|abs + 2 }} {{ 2 * -3 }} {{ - 2 * 3 }} {{ 'a' ~ 'b' in 'xab' }}
{{ messages[0].content.split(' ')[0]|upper }} {{ 'abc'[1] }}{{ 'abc'[-1:] }} {{ [[1, 2], [3]][0][1] }} {{ {'a': [{'b': 1}]}.a[0].b }} {{ 'abcdef'[::2] }}{{ 'abcdef'[-2::-2] }}{{ [1, 2, 3, 4][1::2] }}{{ (1, 2, 3)[:2] }}{{ 'abc'[0:2][0] }}
{{ 'x' is callable }} {{ range is callable }} {{ namespace is defined }} {{ 'a'.upper is callable }} {{ {}.items is defined }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'defined' is test }} {{ none is sameas none }} {{ 1 is sameas true }} {{ 'a' is escaped }} {{ [] is sameas [] }} {{ true is sameas true }}
{{ [1, 2]|map('string') is sequence }} {{ {}.keys() is sequence }} {{ range(2) is sequence }} {{ (1,) is sequence }} {{ 5 is divisibleby 2 or 4 is divisibleby(2) }} {{ 3 is not divisibleby 2 }} {{ 3 is not none and 2 is odd }} {{ 1 is greaterthan 0 }} {{ 1 is lessthan 0 }} {{ 1 is in [1] }} {{ 'a' is ne 'b' }} {{ 1 is eq 1 if 1 else 2 }}
{{ [1, 2].index(2) }} {{ [1, 1].count(1) }} {{ [1].copy() }} {{ {'a': 1}.copy() }} {{ {'items': 5}['items'] }} {{ {'a': {'get': 1}}.a['get'] }}
{{ [1].append(2) }}
{{ {'a': 1}.update({'b': 2}) }}
{{ {'b': [1, 'ä🙂'], 'a': none}|tojson(sort_keys=true) }} {{ {'a': [1, 'ä🙂']}|tojson(ensure_ascii=true) }} {{ {'a': [1, 2]}|tojson(separators=(',', ':')) }} {{ [1, {'a': []}]|tojson(indent='--') }} {{ 'a\\x01\\x7f</'|tojson }} {{ (1, 2)|tojson }} {{ 1.0|tojson }} {{ none|tojson }} {{ 'x'|tojson(true) }}
{{ nothing|tojson }}
{{ {}.items()|tojson }}
{% if 0 %}{{ 'a'|nosuchmethodcalled is undefined }}{% endif %}
{{ 'a\\101\\0b\\7' }} {{ '\\x41\\u00e9\\N' is string }}
{{ nothing.x is defined }}
{{ nothing() }}
{{ messages.nope.x }}
{{ 'a'() }}
{% set x = 1 %}{% set x = x + 1 %}{% if x == 2 %}{{ x }}{% elif x %}{% endif %}{% for i in 'ab' %}{% set x = i %}{% endfor %}{{ x }}
{% if 1 %}{% for i in [] %}{% else %}{% if 1 %}q{% endif %}{% endfor %}{% endif %}{% if 0 %}{% elif 0 %}{% else %}{% endif %}
{{ [1, 2, 3]|select('in', [1, 3])|list }} {{ ['a', 'B']|select('upper')|list }} {{ ['ab', 'c']|map('length')|list }} {{ ['a b']|map('replace', ' ', '-')|join }} {{ [3, 4]|map('string')|join('+') }} {{ [{'a': 1}]|map(attribute='b', default='z')|list }} {{ [[1, 2]]|map(attribute=0)|list }} {{ ['x']|map('default', 'y')|list }}
{{ ' a '|trim|length }} {{ ('a', 'b')|join(', ') }} {{ 'abc'|first }}{{ 'abc'|last }} {{ [1, 2]|reverse|list }} {{ 5|string + 'a' }} {{ ['a', ['b']]|string }} {{ 'ab'|list }} {{ {'a': 1}|list }} {{ {'a': 1}|items|list }} {{ 1.0|string }} {{ 1e16 }} {{ 123456789012345.0 }} {{ 0.1 + 0.2 }} {{ 1e-5 }} {{ -0.0 }}
{{ ((((1)))) }} {{ [[[[]]]] }} {{ (((1, 2), 3), 4) }} {{ {'a': {'b': {'c': {}}}} }} {{ 'a'|upper|lower|title|trim }} {{ ('a')|upper }} {{ ('a' 'b')|length }} {{ -(1 + 2) }} {{ not (1 and 0) }} {{ (messages|length) + 1 }}
{%- set tool_call = {'name': 'f', 'arguments': {'a': 1, 'b': [true, none]}} -%}{{ '{"name": "' + tool_call.name + '", "parameters": ' }}{{ tool_call.arguments | tojson }}{{ "}" }}
{% break %}
{% for i in [1] %}{% macro m() %}{% continue %}{% endmacro %}{% endfor %}
{% else %}
{% for x in [1] %}{% elif 1 %}{% endfor %}
{% macro m %}{% endmacro %}
{% call 1 %}{% endcall %}
{{ a b }}
{{ [1, 2 }}
{{ {'a' 1} }}
{{ {'a'} }}
{{ x[] }}
{{ x[1:2:3:4] }}
{{ (1 + ) }}
{{ f(a=1, 2) }}
{{ 1 not 2 }}
{{ not }}
{{ * 1 }}
{{ 1 if }}
{{ x. }}
{{ x| }}
{{ x is }}
{% set %}
{% set x y %}
{% for %}{% endfor %}
{% for x in y z %}{% endfor %}
{% raw %}x
{% filter %}x{% endfilter %}
{% with a %}{% endwith %}
{% if 1 %}{% endfor %}
{% nosuchtag %}
"""

# White space: the text of the template itself matters to the last character.
LAYOUTS = [
    "", "\n", "a\n", "a\n\n", "\n\na", "a\r\nb\rc\r\n", " {{ 1 }} ", " {{- 1 }} ", " {{ 1 -}} ", " {{- 1 -}} x",
    "  {% if 1 %}  a  {% endif %}  b", "a\n  {% if 1 %}\n    b\n  {% endif %}\nc\n", "a\n  {%+ if 1 %}\n b {%+ endif +%}\nc",
    "a\n  {%- if 1 %}\n b\n  {%- endif %}\n c", "a\n  {% if 1 -%}\n b\n  {% endif -%}\n c", "x {% if 1 %}\ny{% endif %}\n\nz",
    "a\n  {# c #}\n  b", "a {# c #}\nb", "a\n  {#- c -#}\n  b", "a\n\t{#+ c #}\nb", "{# c #}a", "{#a#}{#b#}c", "{##}x",
    "{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\nend", "{% for i in [1, 2] -%}\n  {{ i }}\n{%- endfor %}\nend",
    "{%- for i in [1, 2] %}\n\n  {{- i }}\n\n{%- endfor -%}\n\nend\n", "a{{ 1 }}\nb", "a\n{{ 1 }}\n  {% set x = 1 %}\n  {{ x }}",
    "\t{% set x = 1 %}{{ x }}\n  \t{% if x %}\n{{ x }}{% endif %}", "{% set x = 1 %}  {% set y = 2 %}\n {{ x }}{{ y }}",
    "\u3000{%- if 1 %}a\u00a0{%- endif %}b", "{{\n1\n}}\n{%\nif 1\n%}\nx{% endif %}", "{ { a } } { % b % } {", "{", "}}", "%}", "a{",
    "{{ 'a' }}{{ '\n' }}\n", "{% if 1 %}{% endif %}\n\n", "  {{ 1 }}\n  {{ 2 }}", "{{ 1 }}  {% if 1 %}x{% endif %}",
    "{% if 1 %}\r\nx\r\n{% endif %}\r\ny", "{{ 1 -}}\n\n\n{{ 2 }}", "a\n  \n  {% if 1 %}b{% endif %}",
    "a\n  {% raw %}\n x {{ }}\n  {% endraw %}\n b", "a {%- raw -%} \n x {%- endraw -%} \n b", "a {%+ raw %}x{%+ endraw +%}\n b",
    "a\n  {% macro m() %}\n  x\n  {% endmacro %}\n{{ m() }}|\n  {%- call m() %}\n{%- endcall %}", "{{ 1 -}} \n {%- if 1 +%}\n x{% endif %}",
    "a\n {%- filter upper %}\n x {% endfilter -%}\n b", "{% set x %}\n  a\n{% endset %}[{{ x }}]", "{# a\n b #}\n c\n{#- d -#}\n e", "a  \n{%- if 1 -%}  b  {%- endif -%}\n  c",
]


def main():
    env = environment()
    cases = []

    def add(source, conversation, generation):
        variables = {"bos_token": "<s>", "eos_token": "</s>"}
        case = {"template": source, "messages": conversation, "add_generation_prompt": generation, **variables}
        try:
            case["expected"] = env.from_string(source).render(
                messages=conversation, add_generation_prompt=generation, tools=None, documents=None, **variables)
        except Exception as error:  # whatever Python raises
            case["error"] = str(error)
        cases.append(case)

    # Hugging Face's marks for what the assistant said print nothing; Jinja2 itself does not know them.
    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    env.add_extension(Generation)
    for source in MODELS.values():
        for conversation in CONVERSATIONS:
            for generation in (True, False):
                add(source, conversation, generation)
    for source in CONSTRUCTS.strip("\n").split("\n"):
        add(source, CONVERSATIONS[1], True)
    for source in LAYOUTS:
        add(source, CONVERSATIONS[0], True)
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(cases, out)


if __name__ == "__main__":
    main()
