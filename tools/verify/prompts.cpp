// SPDX-License-Identifier: MIT
#include "verify/prompts.h"

#include <array>

namespace bitnet::program {

// Stories, facts, instructions, lists, code, numbers and other languages, so that continuations differ in kind.
constexpr auto kPrompts = std::to_array<std::string_view>({
    "The first thing she noticed when she opened the door was",
    "It was a quiet evening in the village until",
    "My grandfather used to say that",
    "\"You have no idea,\" said the captain, \"what",
    "On the last day of the summer holidays, the two brothers",
    "Nobody had lived in the house for thirty years, and yet",
    "The letter had been lying on the table since Monday.",
    "When the train stopped between two stations, everyone",
    "Once upon a time there was a miller who had three sons.",
    "He was not a handsome man, but",
    "The capital of France is",
    "Water boils at a lower temperature on a mountain because",
    "The difference between a virus and a bacterium is that",
    "In the year 1969,",
    "The heart pumps blood through",
    "Photosynthesis is the process by which",
    "The longest river of South America",
    "A triangle whose sides are 3, 4 and 5 long",
    "Light from the sun takes about",
    "The Roman Empire fell because",
    "How do I boil an egg?",
    "Explain to a child why the sky is blue.",
    "Write a short poem about the sea.",
    "What should I pack for a week in the mountains?",
    "Give three reasons to learn a second language.",
    "Summarize the plot of Romeo and Juliet in two sentences.",
    "Translate into German: Where is the nearest station?",
    "What is the best way to apologize to a friend?",
    "Dear Sir or Madam,\n\nI am writing to",
    "To: all staff\nSubject: The office is closed on Friday\n\n",
    "Ingredients:\n- 200 g flour\n- 2 eggs\n-",
    "1. Wash your hands.\n2.",
    "Monday, Tuesday, Wednesday,",
    "Red is to stop as green is to",
    "Two, four, six, eight,",
    "17 + 25 =",
    "If a shirt costs 40 dollars and is 25 percent off, then",
    "def fibonacci(n):\n",
    "#include <stdio.h>\n\nint main(void) {\n",
    "SELECT name, COUNT(*) FROM",
    "<html>\n<head>\n<title>",
    "{\"name\": \"Alice\", \"age\":",
    "for (let i = 0; i < items.length; i++) {",
    "The function takes a list and returns",
    "Il \xc3\xa9tait une fois",
    "Am Anfang war",
    "En un lugar de la Mancha,",
    "\xe4\xbb\x8a\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94",
    "\xd0\x92\xd1\x81\xd0\xb5 \xd1\x81\xd1\x87\xd0\xb0\xd1\x81\xd1\x82\xd0\xbb\xd0\xb8\xd0\xb2\xd1\x8b\xd0\xb5",
    "In conclusion,",
});

std::span<const std::string_view> usual_prompts() { return kPrompts; }

}  // namespace bitnet::program
