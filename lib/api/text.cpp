// SPDX-License-Identifier: MIT
#include "api/handles.h"

using namespace bitnet;

namespace {

void check_token(const Tokenizer& tokenizer, Token token) {
  require(token >= 0 && static_cast<size_t>(token) < tokenizer.size(), BITNET_ERROR_ARGUMENT, "token ", token,
          " is out of range: the vocabulary has ", tokenizer.size());
}

}  // namespace

bitnet_status bitnet_tokenize(const bitnet_model* model, const char* text, size_t length, uint32_t flags,
                              bitnet_token* tokens, size_t capacity, size_t* count) {
  return guard([&] {
    check_flags(flags, BITNET_TEXT_SPECIAL | BITNET_TEXT_BOS_EOS);
    const std::vector<Token> found = runtime_of(model).tokenizer().encode(
        read_text(text, length, "text"),
        {.special = (flags & BITNET_TEXT_SPECIAL) != 0, .bos_eos = (flags & BITNET_TEXT_BOS_EOS) != 0});
    return write_array(std::span(found), tokens, capacity, count);
  });
}

bitnet_status bitnet_detokenize(const bitnet_model* model, const bitnet_token* tokens, size_t count, uint32_t flags,
                                char* text, size_t capacity, size_t* length) {
  return guard([&] {
    check_flags(flags, BITNET_TEXT_SPECIAL);
    const Tokenizer& tokenizer = runtime_of(model).tokenizer();
    const auto all = read_array(tokens, count, "tokens");
    for (const Token token : all) check_token(tokenizer, token);
    std::string out;
    tokenizer.decode(all, {.special = (flags & BITNET_TEXT_SPECIAL) != 0}, out);
    return write_text(out, text, capacity, length);
  });
}

int bitnet_token_is_control(const bitnet_model* model, bitnet_token token) {
  int result = 0;
  guard([&] {
    const Tokenizer& tokenizer = runtime_of(model).tokenizer();
    check_token(tokenizer, token);
    result = tokenizer.is_control(token);
  });
  return result;
}

int bitnet_token_is_end(const bitnet_model* model, bitnet_token token) {
  int result = 0;
  guard([&] {
    const Tokenizer& tokenizer = runtime_of(model).tokenizer();
    check_token(tokenizer, token);
    result = tokenizer.is_end_of_generation(token);
  });
  return result;
}

bitnet_status bitnet_decoder_create(const bitnet_model* model, uint32_t flags, bitnet_decoder** decoder) {
  return guard([&] {
    check_flags(flags, BITNET_TEXT_SPECIAL);
    require_pointer(decoder, "decoder");
    const Tokenizer& tokenizer = runtime_of(model).tokenizer();
    const DecodeOptions options = {.special = (flags & BITNET_TEXT_SPECIAL) != 0};
    *decoder = new bitnet_decoder{model->runtime, StreamDecoder(tokenizer, options), {}};
  });
}

bitnet_status bitnet_decoder_push(bitnet_decoder* decoder, bitnet_token token, const char** text, size_t* length) {
  return guard([&] {
    require_pointer(decoder, "decoder");
    require_pointer(text, "text");
    require_pointer(length, "length");
    check_token(decoder->runtime->tokenizer(), token);
    decoder->text = decoder->decoder.push(token);
    *text = decoder->text.c_str();
    *length = decoder->text.size();
  });
}

bitnet_status bitnet_decoder_finish(bitnet_decoder* decoder, const char** text, size_t* length) {
  return guard([&] {
    require_pointer(decoder, "decoder");
    require_pointer(text, "text");
    require_pointer(length, "length");
    decoder->text = decoder->decoder.finish();
    *text = decoder->text.c_str();
    *length = decoder->text.size();
  });
}

void bitnet_decoder_free(bitnet_decoder* decoder) { delete decoder; }
