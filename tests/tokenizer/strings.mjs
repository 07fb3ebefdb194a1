// SPDX-License-Identifier: MIT
// The texts that the tokenizers are compared on: always the same, from a fixed seed.

// mulberry32
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const random = generator(20240417);
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));

const prose = [
  'The quick brown fox jumps over the lazy dog.',
  "It's what we'd've said: they're here, I'm there, you'll see, she'd know. IT'S WE'RE I'LL",
  "It’s ‘quoted’ — “dashes” … and ellipses",
  'Der Fluß führt Hochwasser; Straßenbahnen fahren übermorgen.',
  "L'été dernier, où étiez-vous ? À Noël, ça ira. Œuvre, cœur.",
  '¿Dónde está el niño? ¡Mañana será otro día!',
  'Zażółć gęślą jaźń. Příliš žluťoučký kůň úpěl ďábelské ódy.',
  'İstanbul’da ıslak ışık; Iğdır',
  'Съешь же ещё этих мягких французских булок, да выпей чаю.',
  'Ξεσκεπάζω τὴν ψυχοφθόρα βδελυγμία.',
  'نص عربي مع تشكيل: الْحَمْدُ لِلَّهِ، ١٢٣٤٥',
  'עברית עם ניקוד: שָׁלוֹם עוֹלָם',
  'यह हिन्दी में एक वाक्य है। क्षत्रिय ज्ञान १२३',
  'বাংলা ভাষা, தமிழ் மொழி, తెలుగు, ಕನ್ನಡ, മലയാളം',
  'ภาษาไทยไม่มีช่องว่างระหว่างคำ ๑๒๓',
  'ລາວ ខ្មែរ မြန်မာ བོད་ཡིག',
  '日本語の文章です。カタカナとひらがな、漢字が混ざる。',
  '中文没有空格，所以分词很难。繁體中文也一樣。',
  '한국어 문장입니다. 띄어쓰기가 있어요. ㄱㄴㄷ',
  'ქართული ენა, Հայերեն լեզու, አማርኛ',
  'ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ ⠃⠗⠁⠊⠇⠇⠑ ᚠᚢᚦ',
  '𐍈𐌰𐌹 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𠜎𠜱𠝹',
  '👍 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷🇯🇵 1️⃣ ❤️ ☃︎ 🧑🏿‍🚀',
  'e\u0301 a\u0308 n\u0303 \u1100\u1161\u11a8 Z\u0351\u036b\u0343alg\u0310o\u0334',
  'ﬁ ﬀ ½ ⅓ ² ³ ① Ⅻ № ™ ℃ Å Ω ſ K',
  '3.14159 1,000,000 0x1F 1e-9 12345678901234567890 ٣٤٥ 1st 2nd 42%',
  'user@example.com https://example.org/a/b?c=d&e=%20f#g C:\\path\\file.txt',
  '{"key": [1, 2.5, null, true], "nested": {"a": "b\\n"}}',
  '<div class="x">&amp; <!-- c --></div>',
  '$$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$$',
  '~!@#$%^&*()_+`-=[]{}|;:\'",./<>? ... ---- ==== //// ....',
];

const code = [
  'def f(x):\n    if x > 0:\n        return x ** 2\n\treturn None\n',
  '#include <stdio.h>\nint main(void) {\n\tprintf("%d\\n", 42);\r\n\treturn 0;\r\n}\r\n',
  'SELECT a.id, COUNT(*) FROM t AS a WHERE a.x <> \'y\' GROUP BY 1;\n\n\n',
  'const f = async (a) => { await g(`${a}`); };  // done   \n\n  \n',
  'fn main() -> Result<(), Box<dyn Error>> { let x = vec![1u8; 10]; Ok(()) }',
  '\\begin{align}\n  a &= b \\\\\n\\end{align}',
  '| a | b |\n|---|---|\n| 1 | 2 |\n',
  '    \t  mixed\t \tindent\n \n\t\n  x',
];

const spaces = [' ', '  ', '   ', '        ', '\t', '\t\t', '\n', '\n\n', '\n\n\n', '\r\n', '\r', ' \n', '\n ', ' \t\n ',
  '\u00a0', '\u2003', '\u3000', '\u2028', '\u200b', '\u200d', '\v', '\f', '\u1680', '\u202f'];

const controls = times(32, (i) => String.fromCodePoint(i)).concat('\u007f', '\u0080', '\u009f', '\u00ad', '\u2060',
  '\ufffd', '\ufffe', '\u{10ffff}', '\ue000', '\u{e0001}', '\u{e0067}');

const marks = ['\u2581', '\u2581\u2581', '\u0120', '\u010a', '<0x0A>', '<0xFF>', '[INST]', '<<SYS>>', '<|', '|>'];

// One block of Unicode each; letters that were assigned long ago, so that every Unicode version agrees on them.
const ranges = [[0x20, 0x7e], [0x20, 0x7e], [0x61, 0x7a], [0x30, 0x39], [0xa1, 0xff], [0x100, 0x17f], [0x391, 0x3a1],
  [0x3b1, 0x3c9], [0x410, 0x44f], [0x5d0, 0x5ea], [0x627, 0x63a], [0x660, 0x669], [0x905, 0x939], [0xe01, 0xe30],
  [0x1200, 0x1206], [0x2010, 0x2027], [0x2190, 0x21ff], [0x3041, 0x3096], [0x30a1, 0x30fa], [0x4e00, 0x9fa5],
  [0xac00, 0xd7a3], [0x1f300, 0x1f5ff], [0x1f600, 0x1f64f], [0x1d400, 0x1d454]];

function word() {
  const [from, to] = pick(ranges);
  return times(1 + below(8), () => String.fromCodePoint(from + below(to - from + 1))).join('');
}

function slice(text) {
  const points = Array.from(text);
  const from = below(points.length);
  return points.slice(from, from + 1 + below(20)).join('');
}

function mixture(special) {
  const part = () => {
    switch (below(special.length ? 9 : 8)) {
      case 0: return pick(spaces);
      case 1: return pick(spaces).repeat(1 + below(4));
      case 2: return slice(pick(prose));
      case 3: return slice(pick(code));
      case 4: return pick(controls);
      case 5: return pick(marks);
      case 8: return pick(special);
      default: return (below(2) ? ' ' : '') + word();
    }
  };
  return times(1 + below(12), part).join('');
}

// `special`: the control tokens of the tokenizer as they are written.
export function texts(special) {
  return [
    '',
    ...prose, ...code, ...spaces, ...controls, ...marks, ...special,
    ...prose.map((text) => ' ' + text + ' '),
    ...times(64, (i) => ' '.repeat(i + 1)),
    ...times(64, (i) => ' '.repeat(i + 1) + 'x'),
    ...times(40, (i) => '\n'.repeat(i + 1) + (i % 2 ? 'y' : '')),
    ...times(24, (i) => '1234567890'.repeat(3).slice(0, i + 1)),
    ...times(26, (i) => String.fromCharCode(97 + i).repeat(1 + i * 7)),
    ...special.flatMap((token) => [token + token, 'a' + token + 'b', ' ' + token + ' c', token.slice(0, -1)]),
    ...times(600, () => times(1 + below(6), () => (below(3) ? ' ' : '') + word()).join('')),
    ...times(400, () => slice(pick(prose)) + pick(spaces) + slice(pick(code))),
    ...times(1200, () => mixture(special)),
  ];
}
