// Questions to begin with, in the language that was chosen.

const EXAMPLES = {
  en: ["What can you do?", "Tell me a story", "What is twelve times twelve?"],
  zh: ["你会做什么？", "给我讲个故事", "十二乘以十二等于多少？"],
  es: ["¿Qué sabes hacer?", "Cuéntame un cuento", "¿Cuánto es doce por doce?"],
};

/** Fills `box` with buttons that ask. */
export function showExamples(box, language, onAsk) {
  const tag = language in EXAMPLES ? language : "en";
  box.lang = tag;
  box.replaceChildren(...EXAMPLES[tag].map((text) => button(text, onAsk)));
}

function button(text, onAsk) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "example";
  element.textContent = text;
  element.addEventListener("click", () => onAsk(text));
  return element;
}
