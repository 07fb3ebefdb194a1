// SPDX-License-Identifier: MIT
// bos_token and eos_token are written in expressions of their own: undefined, they then print nothing.
#include "text/known_templates.h"

#include <algorithm>

namespace bitnet {
namespace {

// microsoft/bitnet-b1.58-2B-4T. Its files in GGUF carry another one, which is a mistake (chat_template_choice.h).
constexpr char kBitnetTemplate[] = R"({%- for m in messages %}
{%- if loop.first %}{{ bos_token }}{% endif %}
{{- m.role|capitalize + ': ' + m.content|trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Assistant: ' }}{% endif %})";

constexpr char kChatmlTemplate[] = R"({%- for m in messages %}
{{- '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

constexpr char kFalcon3Template[] = R"({%- for m in messages %}
{%- if m.role in ['system', 'user', 'assistant'] %}{{ '<|' + m.role + '|>\n' + m.content }}{% endif %}
{%- if m.role in ['system', 'user'] %}{{ '\n' }}{% endif %}
{%- if m.role == 'assistant' %}{{ eos_token }}{{ '' if loop.last else '\n' }}{% endif %}
{%- if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}
{%- endfor %})";

// Gemma 1 and 2 refuse a system message; Gemma 3 puts it before the first message, which suits all three.
constexpr char kGemmaTemplate[] = R"({{- bos_token }}
{%- set ns = namespace(system='', said=messages) %}
{%- if messages[0].role == 'system' %}
{%- set ns.system = messages[0].content + '\n\n' %}{% set ns.said = messages[1:] %}
{%- endif %}
{%- for m in ns.said %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('roles must alternate: user, assistant, user, ...') }}
{%- endif %}
{{- '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}
{{- (ns.system if loop.first else '') + m.content|trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %})";

constexpr char kLlama2Template[] = R"({%- set ns = namespace(system='', said=messages) %}
{%- if messages[0].role == 'system' %}
{%- set ns.system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}{% set ns.said = messages[1:] %}
{%- endif %}
{%- for m in ns.said %}
{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('roles must alternate: user, assistant, user, ...') }}
{%- endif %}
{%- if m.role == 'user' %}
{{- bos_token }}{{ '[INST] ' + ((ns.system if loop.first else '') + m.content).strip() + ' [/INST]' }}
{%- elif m.role == 'assistant' %}
{{- ' ' + m.content.strip() + ' ' }}{{ eos_token }}
{%- endif %}
{%- endfor %})";

constexpr char kLlama3Template[] = R"({%- for m in messages %}
{%- if loop.first %}{{ bos_token }}{% endif %}
{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content|trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %})";

// Mistral-7B-Instruct-v0.3 and its contemporaries: the system message goes with the last one.
constexpr char kMistralTemplate[] = R"({%- set ns = namespace(system='', said=messages) %}
{%- if messages[0].role == 'system' %}
{%- set ns.system = messages[0].content + '\n\n' %}{% set ns.said = messages[1:] %}
{%- endif %}
{{- bos_token }}
{%- for m in ns.said %}
{%- if m.role not in ['user', 'assistant'] or (m.role == 'user') != (loop.index0 % 2 == 0) %}
{{- raise_exception('after a system message, if any, roles must alternate: user, assistant, user, ...') }}
{%- endif %}
{%- if m.role == 'user' %}{{ '[INST] ' + (ns.system if loop.last else '') + m.content + '[/INST]' }}
{%- else %}{{ ' ' + m.content|trim }}{{ eos_token }}{% endif %}
{%- endfor %})";

// Phi-3-mini, with a system message as its revision of July 2024 has it.
constexpr char kPhi3Template[] = R"({%- for m in messages %}
{%- if m.role in ['system', 'user', 'assistant'] %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %})";

#define QWEN_TOOL                                                                                       \
  "{%- elif m.role == 'tool' %}"                                                                        \
  "{%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}" \
  "{{- '\\n<tool_response>\\n' + m.content + '\\n</tool_response>' }}"                                  \
  "{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}"

// Qwen 2.5: without a system message it has one of its own.
constexpr char kQwenTemplate[] = R"({%- if messages[0].role != 'system' %}
{{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
{%- endif %}
{%- for m in messages %}
{%- if m.role in ['system', 'user', 'assistant'] %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
)" QWEN_TOOL R"({%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

// What the assistant thought is left out, but for replies to the last question.
constexpr char kQwen3Template[] = R"({%- set ns = namespace(question=messages|length - 1) %}
{%- for m in messages %}
{%- if m.role == 'user' and not (m.content.startswith('<tool_response>') and m.content.endswith('</tool_response>')) %}
{%- set ns.question = loop.index0 %}
{%- endif %}
{%- endfor %}
{%- for m in messages %}
{%- if m.role in ['system', 'user'] %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}
{%- elif m.role == 'assistant' %}
{%- set content = m.content %}{% set thought = '' %}
{%- if '</think>' in content %}
{%- set thought = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}
{%- set content = content.split('</think>')[-1].lstrip('\n') %}
{%- endif %}
{%- if loop.index0 > ns.question and (loop.last or thought) %}
{%- set content = '<think>\n' + thought + '\n</think>\n\n' + content.lstrip('\n') %}
{%- endif %}
{{- '<|im_start|>assistant\n' + content + '<|im_end|>\n' }}
)" QWEN_TOOL R"({%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %})";

constexpr char kZephyrTemplate[] = R"({%- for m in messages %}
{%- if m.role in ['system', 'user', 'assistant'] %}{{ '<|' + m.role + '|>\n' + m.content }}{{ eos_token }}{{ '\n' }}{% endif %}
{%- if loop.last and add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}
{%- endfor %})";

constexpr std::string_view kBitnetTokens[] = {"<|eot_id|>"};
constexpr std::string_view kChatmlTokens[] = {"<|im_start|>", "<|im_end|>"};
constexpr std::string_view kFalcon3Tokens[] = {"<|user|>", "<|assistant|>"};
constexpr std::string_view kGemmaTokens[] = {"<start_of_turn>", "<end_of_turn>"};
constexpr std::string_view kLlama3Tokens[] = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"};
constexpr std::string_view kMistralTokens[] = {"[INST]", "[/INST]"};
constexpr std::string_view kPhi3Tokens[] = {"<|user|>", "<|assistant|>", "<|end|>"};

constexpr KnownTemplate kTemplates[] = {
    {"bitnet", kBitnetTemplate, kBitnetTokens},
    {"chatml", kChatmlTemplate, kChatmlTokens},
    {"falcon3", kFalcon3Template, kFalcon3Tokens},
    {"gemma", kGemmaTemplate, kGemmaTokens},
    {"llama2", kLlama2Template, {}},
    {"llama3", kLlama3Template, kLlama3Tokens},
    {"mistral", kMistralTemplate, kMistralTokens},
    {"phi3", kPhi3Template, kPhi3Tokens},
    {"qwen", kQwenTemplate, kChatmlTokens},
    {"qwen3", kQwen3Template, kChatmlTokens},
    {"zephyr", kZephyrTemplate, {}},
};

}  // namespace

std::span<const KnownTemplate> known_templates() { return kTemplates; }

const KnownTemplate* find_known_template(std::string_view name) {
  const auto found = std::ranges::find_if(kTemplates, [&](const KnownTemplate& known) { return name == known.name; });
  return found == std::end(kTemplates) ? nullptr : found;
}

}  // namespace bitnet
