// Which engine thinks, and which one thought up the last answer: in a chain it need not be the same.

const DEMO = "rules";

/** One line. `engine`: what the server is set to; `spoke`: the last answer's, "" before the first. */
export function brainWords(engine, spoke = "") {
  if ((spoke || engine) !== DEMO) return spoke && `Answered by ${spoke}.`;
  if (engine === DEMO) return "Demo brain (engine: rules), not a language model.";
  return "Answered by the demo brain (engine: rules): the language model is out.";
}
