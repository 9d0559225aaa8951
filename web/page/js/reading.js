// What to read aloud for a sample of a voice: some 20 seconds, with most sounds of the language.

const TEXTS = {
  en:
    "Every morning I walk down to the river and watch the boats go by. Some carry wood, others just " +
    "a few quiet people. When it rains I stay at home, make a pot of tea and read. Would you like to " +
    "join me next Thursday? Bring a warm jacket, and I'll show you where the old bridge used to be.",
  zh:
    "每天早上，我都会走到河边，看船一只一只地过去。有的船运着木头，有的船上只有几个安静的人。" +
    "下雨的时候，我就待在家里，泡一壶茶，读一会儿书。下个星期四，你愿意跟我一起去吗？" +
    "记得穿一件暖和的外套，我带你去看那座老桥原来的地方。",
  es:
    "Cada mañana camino hasta el río y miro pasar los barcos. Unos llevan madera; otros, apenas unas " +
    "pocas personas calladas. Cuando llueve me quedo en casa, preparo una taza de té y leo un rato. " +
    "¿Quieres venir conmigo el jueves que viene? Trae una chaqueta gruesa y te enseñaré dónde estaba " +
    "el puente viejo.",
};

/** Of the languages that the voices here speak, those with a text; all texts where none has one. */
export function readingLanguages(spoken) {
  const known = Object.keys(TEXTS);
  const fitting = spoken.filter((tag) => known.includes(tag));
  return fitting.length ? fitting : known;
}

export function readingText(language) {
  return TEXTS[language];
}
