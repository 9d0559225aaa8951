// What became of the picture where drawing fell behind, in words and as stretches of the reply.

const LEVELS = {
  half_rate: "half the pictures",
  idle_face: "a face at rest",
  voice_only: "a still picture",
};

function when({ from_s: from, to_s: to }) {
  return `from ${from.toFixed(1)} s to ${to.toFixed(1)} s`;
}

/** One sentence, or nothing where the face was whole. */
export function ladderWords(ladder) {
  if (!ladder?.length) return "";
  const steps = ladder.map((step) => `${LEVELS[step.level] ?? step.level} ${when(step)}`);
  return `Drawing fell behind: ${steps.join(", ")}. The voice was whole.`;
}

/** The reply in stretches, as [{level, s}]; "" where the face was whole. */
export function stretchesOf(ladder, audioS) {
  const stretches = [];
  let at = 0;
  for (const { level, from_s: from, to_s: to } of ladder) {
    stretches.push({ level: "", s: from - at }, { level, s: to - from });
    at = to;
  }
  stretches.push({ level: "", s: audioS - at });
  return stretches.filter(({ s }) => s > 0);
}
