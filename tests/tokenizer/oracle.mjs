// SPDX-License-Identifier: MIT
// node oracle.mjs MODEL: writes MODEL.json, a vocabulary and what its tokenizer makes of every text, for oracle_test.cpp;
// and the folder MODEL with tokenizer.json and tokenizer_config.json as Hugging Face's libraries would save them.
//
// MODEL is a package @lenml/tokenizer-MODEL (what llama2 carries under that name are the pieces of Mistral 7B: the same
// kind, and the same rules); or llama2_meta, the pieces of Llama 2 itself; or one of `variants`: a published vocabulary
// with what another model's tokenizer does before it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { TokenizerLoader } from '@lenml/tokenizers';
import { texts } from './strings.mjs';

const split = (expression) => ({ type: 'Split', pattern: { Regex: expression }, behavior: 'Isolated', invert: false });
const digits = (each) => ({ type: 'Digits', individual_digits: each });
const byteLevel = (use_regex) => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex });
const punctuation = { type: 'Punctuation', behavior: 'Contiguous' };
const sequence = (...pretokenizers) => ({ type: 'Sequence', pretokenizers });
const metaspace = (scheme) => ({ type: 'Metaspace', replacement: '\u2581', add_prefix_space: true, prepend_scheme: scheme,
  split: false });
const nfc = { type: 'NFC' };
const markSpaces = { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' };
const qwen35 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" +
  '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const eastAsian = '[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+';
const cased = '\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af' +
  '\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481' +
  '\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b' +
  '\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b' +
  '\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb' +
  '\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128' +
  '\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4' +
  '\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf' +
  '\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\u{10400}-\u{1044f}\u{104b0}-\u{104d3}' +
  '\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}]+';

const variants = {
  gpt_neox: { base: 'llama3', normalizer: nfc, pre_tokenizer: byteLevel(true) },
  smollm: { base: 'llama3', pre_tokenizer: sequence(digits(true), byteLevel(true)) },
  qwen35: { base: 'qwen3', pre_tokenizer: sequence(split(qwen35), byteLevel(false)) },
  falcon: { base: 'llama3',
    pre_tokenizer: sequence(punctuation, byteLevel(true), digits(false), split('[0-9][0-9][0-9]')) },
  falcon3: { base: 'llama3', pre_tokenizer: sequence(punctuation, byteLevel(true), split('[0-9]')) },
  deepseek_llm: { base: 'llama3', pre_tokenizer: sequence(split('[\r\n]'), split(cased),
    split('\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+'), split('\\s+$'), split(eastAsian),
    digits(true), byteLevel(false)) },
  deepseek_coder: { base: 'llama3', pre_tokenizer: sequence(split('[\r\n]'), split('\\s?\\p{L}+'),
    split('\\s?\\p{P}+'), split(eastAsian), digits(true), byteLevel(false)) },
  metaspace_first: { base: 'llama2', normalizer: null, pre_tokenizer: metaspace('first') },
  metaspace_always: { base: 'llama2', normalizer: null, pre_tokenizer: metaspace('always') },
  no_prefix: { base: 'llama2', normalizer: markSpaces,
    pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false } },
};

const model = process.argv[2];
const { base = model.replace('_meta', ''), ...changes } = variants[model] ?? {};
const folder = `node_modules/@lenml/tokenizer-${base}/models`;
const read = (name) => JSON.parse(readFileSync(`${folder}/${name}`, 'utf8'));
const tokenizerJSON = Object.assign(read('tokenizer.json'), changes);
if (variants[model]) tokenizerJSON.model.ignore_merges = false;
const tokenizerConfig = read('tokenizer_config.json');
if (model === 'llama2_meta') {
  const { default: llama } = await import('llama-tokenizer-js');
  const merges = [...llama.merges].sort((a, b) => a[1] - b[1]).map(([pair]) => pair);
  tokenizerJSON.model.vocab = Object.fromEntries(llama.vocabById.map((piece, id) => [piece, id]));
  tokenizerJSON.model.merges = merges;
}
mkdirSync(model, { recursive: true });
writeFileSync(`${model}/tokenizer.json`, JSON.stringify(tokenizerJSON));
writeFileSync(`${model}/tokenizer_config.json`, JSON.stringify(tokenizerConfig));

// To this implementation, digits are Latin ones; to Hugging Face's in Rust, which is what models were trained with, they
// are all of \p{N}. Its SentencePiece tokenizers have a normalizer of their own if the class is theirs.
function published({ type, individual_digits, pretokenizers, ...rest }) {
  if (type === 'Sequence') return sequence(...pretokenizers.map(published));
  if (type === 'Digits') return split(individual_digits ? '\\p{N}' : '\\p{N}+');
  return { type, individual_digits, ...rest };
}
const oracleJSON = { ...tokenizerJSON };
if (oracleJSON.pre_tokenizer) oracleJSON.pre_tokenizer = published(oracleJSON.pre_tokenizer);
const tokenizer = TokenizerLoader.fromPreTrained({ tokenizerJSON: oracleJSON,
  tokenizerConfig: variants[model] ? { ...tokenizerConfig, tokenizer_class: 'PreTrainedTokenizer' } : tokenizerConfig });

const NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6;  // GGUF's token types
const sentencepiece = tokenizerJSON.model.byte_fallback;

// GGUF's names of the rules, where they are not the models' names.
const rules = { llama3: 'llama-bpe', qwen3: 'qwen2' };

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
  return { ...common, kind: 'byte_bpe', pre_tokenizer: rules[model] ?? model.replace('_', '-'),
    merges: merges.map((pair) => pair.map((piece) => tokenizerJSON.model.vocab[piece])) };
}

const special = tokenizerJSON.added_tokens.map((token) => token.content).slice(0, 12);
const form = tokenizerJSON.normalizer?.type === 'NFC' ? (text) => text.normalize('NFC') : (text) => text;
const cases = texts(special).map((text) => {
  const ids = tokenizer.encode(text, { add_special_tokens: false });
  const options = { skip_special_tokens: false, clean_up_tokenization_spaces: false };
  return { text, normal: form(text), ids, decoded: ids.length ? tokenizer.decode(ids, options) : '' };
});
// What stands around a text.
const whole = tokenizer.encode('hello', { add_special_tokens: true });
writeFileSync(`${model}.json`, JSON.stringify({ vocabulary: vocabulary(), cases, whole }));
