# SPDX-License-Identifier: MIT
"""What C cannot say of the enums and structs of bitnet.h, and where a language names or words something in its own way.
Only data. Whatever is not listed here follows from bitnet.h by the rules of api.py and of the languages' own files."""

# ---------------------------------------------------------------- what it is

# Structs and flags that each language has written by hand, for they are shaped by its idiom.
BY_HAND = {"bitnet_message", "bitnet_batch_item", "bitnet_logit_bias", "bitnet_piece", "bitnet_chat_options",
           "bitnet_chat_prompt"}

# An int is a truth value if its comment begins with "nonzero: "; otherwise it is a number in this range.
RANGES = {"bitnet_convert_options.zstd_level": (0, 19)}

# Text that may also be the path of a file.
TEMPLATES = {"bitnet_open_options.chat_template", "bitnet_convert_options.chat_template"}

# Members whose bits are options, each a truth value.
FLAGS = {"bitnet_generate_options.flags": "BITNET_GENERATE_"}

# Truth values that an options struct has in the languages only: what the hand-written functions do with them.
EXTRA = {"bitnet_generate_options": ["BITNET_CHAT_TRUST"]}

# The order of options where it is not that of C with callbacks last. What is not listed comes after these.
ORDER = {"bitnet_generate_options": ["max_tokens", "sampler", "stop", "whole", "special_prompt", "special_output",
                                     "ignore_end"]}

# What values begin with where it is not what all of them begin with; values that begin otherwise are left out.
PREFIXES = {"bitnet_status": "BITNET_ERROR_"}

# Values that languages do not show: the layers below them handle these. "*" is any language.
HIDDEN = {
    "BITNET_ERROR_BUFFER": {"*"},
    "BITNET_ERROR_NOT_FOUND": {"csharp"},  # FileNotFoundException
    "BITNET_ERROR_CANCELLED": {"go"},  # the context's error
    "BITNET_FINISH_NOT": {"python", "java", "csharp", "swift"},  # None, null, nil
    "BITNET_KV_DEFAULT": {"swift"},
}

# Where its default is hidden, what an option is by default.
DEFAULTS = {"bitnet_kv": "BITNET_KV_INT16"}

# Enums of which C gives values, not only takes them; and what stands for a value that is not known.
GIVEN = {"bitnet_log_level": None, "bitnet_finish": None, "bitnet_status": "BITNET_ERROR_INTERNAL"}

# What toString and its like leave out.
LONG_TEXTS = {"bitnet_model_info.chat_template"}

# --------------------------------------------------------------------- names

# Of types. By default bitnet_model_info is ModelInfo.
TYPES = {
    "bitnet_kv": {"go": "KV", "swift": "KV"},
    "bitnet_i2s_layout": {"go": "I2SLayout", "swift": "I2SLayout", "python": "Layout"},
    "bitnet_logits_of": {"python": "Which"},
    "bitnet_model_info": {"go": "Info"},
    "BITNET_TEXT_": {"java": "TextOption", "go": "TextFlag", "swift": "TextOptions"},
    "BITNET_CHAT_": {"go": "ChatFlag"},
}

# Of members. By default chat_template is chatTemplate, ChatTemplate or chat_template.
MEMBERS = {
    "prompt_ns": {"java": "promptTime", "csharp": "PromptTime", "go": "PromptTime", "swift": "promptTime"},
    "generated_ns": {"java": "generatedTime", "csharp": "GeneratedTime", "go": "GeneratedTime", "swift": "generatedTime"},
    "sample_ns": {"java": "sampleTime", "csharp": "SampleTime", "go": "SampleTime", "swift": "sampleTime"},
}

# Of values.
VALUES = {
    "BITNET_TEXT_SPECIAL": {"go": "Special"},
    "BITNET_TEXT_BOS_EOS": {"go": "BOSEOS"},
}

# Words that a language writes in its own way, in names of types, members and values.
WORDS = {
    "csharp": {"io": "IO"},
    "go": {"isa": "ISA", "gguf": "GGUF", "i2s": "I2S", "kv": "KV", "bos": "BOS", "eos": "EOS", "ffn": "FFN", "io": "IO",
           "relu2": "ReLU2", "silu": "SiLU"},
    "swift": {"default": "standard"},
}

# ------------------------------------------------------------------ comments

# Functions and constants of which comments speak.
MENTIONED = {
    "bitnet_isa_name": {"python": "isa_names()", "java": "Bitnet#isaNames()", "csharp": "Library.IsaNames",
                        "go": "ISANames", "swift": "Library.isaNames"},
    "bitnet_chat_template_name": {"python": "chat_template_names()", "java": "Bitnet#chatTemplateNames()",
                                  "csharp": "Library.ChatTemplateNames", "go": "ChatTemplateNames",
                                  "swift": "Library.chatTemplateNames"},
    "bitnet_chat_tokenize": {"python": "Model.chat_tokenize()", "java": "Model#chatTokenize", "csharp": "Model.ChatTokenize",
                             "go": "Model.ChatTokenize", "swift": "Model.chatTokenize"},
    "bitnet_generation_start": {"python": "Session.generate()", "java": "Session#generate", "csharp": "Session",
                                "go": "Session.Generate", "swift": "Session.generate"},
    "bitnet_generation_cancel": {"python": "Generation.cancel()", "java": "Generation#cancel()",
                                 "csharp": "Generation.Cancel", "go": "the context", "swift": "a task"},
    "bitnet_open_options": {"python": "Model"},
    "BITNET_NO_TOKEN": {"python": "None", "java": "empty", "csharp": "null", "go": "NoToken", "swift": "nil"},
    "-INFINITY": {"python": "-math.inf", "java": "Float#NEGATIVE_INFINITY", "csharp": "float.NegativeInfinity",
                  "go": "math.Inf(-1)", "swift": "-.infinity"},
}

# Comments that are other ones in the languages: of all ("*"), or of one.
COMMENTS = {
    "bitnet_status": {"*": "What kind of failure an error is about. More may come.",
                      "go": "the kind of an error. errors.Is finds it in every error that the library reports"},
    "BITNET_ERROR_NOT_FOUND": {"go": "the file to read does not exist: fs.ErrNotExist"},
    "BITNET_ERROR_ARGUMENT": {"java": "an argument or option is wrong, or the object is closed"},
    "BITNET_ERROR_CANCELLED": {"java": "the call was cancelled, or its thread interrupted",
                               "csharp": "another thread cancelled the generation or disposed of the session",
                               "swift": "a progress callback asked to stop"},
    "BITNET_ERROR_UNSUPPORTED": {"*": "well-formed, but this version cannot do it"},
    "BITNET_LOGITS_ALL": {"*": "of every token given"},
    "bitnet_engine_options.threads": {
        "*": "without a pool: threads of its own that compute, the one that leads a pass included, at most 512; 0: those of "
             "the default pool, which all engines that ask for none share"},
    "bitnet_engine_options.generation_threads": {
        "*": "of the threads, those that compute a token by itself; 0: as many as turn out fastest, which is found by trying "
             "fewer for a token now and then"},
    "BITNET_PRIORITY_BACKGROUND": {
        "*": "computed as far as passes stay within the time that the engine gives them, and in one of 20 at least"},
    "BITNET_CHAT_TRUST": {
        "go": 'control tokens spelt out in contents, such as "<|eot_id|>", are those tokens. Never for text from strangers, '
              "who could then speak for others"},
    "bitnet_generate_options.trust": {
        "*": "of chats: control tokens spelt out in contents are those tokens. Never for text from strangers, who could "
             "then speak for others"},
    "bitnet_sampler_options.logit_bias": {
        "java": "added to a token's logit; -INFINITY forbids it. May be called for any number of tokens"},
    "bitnet_generate_options.stop": {
        "java": "the text ends before the first of these, which is not given out. Each call adds one"},
    "bitnet_perf.prompt_ns": {"*": "the session's share of the time of their passes",
                              "python": "the session's share of the time of their passes, in nanoseconds"},
    "bitnet_perf.generated_ns": {"*": "the session's share of the time of their passes",
                                 "python": "the session's share of the time of their passes, in nanoseconds"},
    "bitnet_perf.sample_ns": {
        "*": 'the time that took; with the head if the model\'s head is "screened"',
        "python": 'the nanoseconds that took; with the head if the model\'s head is "screened"'},
}
