"""The rules' English."""

from deployments.llm.rules.phrases import (
    Arithmetic,
    Clock,
    Intent,
    Names,
    Numerals,
    Phrases,
    words_of,
)

_SMALL = words_of(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen "
    "fourteen fifteen sixteen seventeen eighteen nineteen"
)
_TENS = words_of("twenty thirty forty fifty sixty seventy eighty ninety")
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9}

_NUMERALS = Numerals(
    small={word: i for i, word in enumerate(_SMALL)}
    | {word: 10 * i for i, word in enumerate(_TENS, 2)}
    | {"fourty": 40, "oh": 0},
    scales=_SCALES,
    joiners=frozenset({"and"}),
    joined_after=frozenset(_SCALES),
    point=frozenset({"point", "dot"}),
    decimal_comma=False,
)

_ARITHMETIC = Arithmetic(
    numerals=_NUMERALS,
    rewrites=(
        # As recognisers hear them.
        (r"\b(?:to|too)(?= (?:plus|minus|times|divided by|to the power|squared|cubed)\b)", "2"),
        (r"\bfor(?= (?:plus|minus|times|divided by|to the power|squared|cubed)\b)", "4"),
        (
            r"\b(?:multiply|product of|multiplying)\b(.+?)\b(?:by|and|with|times)\b(.+)",
            r" \1 * \2 ",
        ),
        (r"\b(?:divide|dividing)\b(.+?)\bby\b(.+)", r" \1 / \2 "),
        (r"\b(?:add|adding|sum of|sum up)\b(.+?)\b(?:to|and|with|plus)\b(.+)", r" \1 + \2 "),
        (r"\bdifference (?:between|of)\b(.+?)\band\b(.+)", r" \1 - \2 "),
        (r"\b(?:subtract|take away|take)\b(.+?)\bfrom\b(.+)", r" \2 - \1 "),
        (r"\bwork out\b", " "),
        (r"\b(?:raised )?to the (?:power of|power)\b|\braised to(?: the)?\b", " ** "),
        (r"\bto the (\w+) power\b", r" ** \1 "),
        (r"\bsquared\b", " squared "),
        (r"\bcubed\b", " cubed "),
        (r"\b(?:the )?(?:square )?root of\b|\bsqrt\b", " sqrt "),
        (r"(?:\bper ?cent|%) of\b", " percent "),
        (r"\bhalf of\b", " half "),
        (r"\b(?:double|twice)\b", " double "),
        (r"\bdivided by\b|\bdivide by\b|\bover\b", " / "),
        (r"\bmultiplied by\b|\btimes\b|(?<=\d)\s*x\s*(?=\d)", " * "),
        (r"\bplus\b", " + "),
        (r"\bminus\b|\bless\b|\bnegative\b", " - "),
    ),
    fillers=frozenset(
        words_of(
            "hey hi hello avatar please can could you would tell me what whats is are the result "
            "of answer to how much many calculate compute  solve does do make makes equal "
            "equals give gives and so then now ok okay i like know want need a an this exactly "
            "sum math quick quickly thanks thank for us say it be do"
        )
    ),
    spoken={
        "+": "plus",
        "-": "minus",
        "*": "times",
        "/": "divided by",
        "**": "to the power of",
        "sqrt": "the square root of",
        "percent": "percent of",
        "negative": "minus",
        "squared": "squared",
        "cubed": "cubed",
        "half": "half of",
        "double": "twice",
    },
    exact="Let me see. {sum} is {result}.",
    rounded="Let me see. {sum} is about {result}.",
    by_zero="That cannot be done. Nothing can be divided by zero.",
    too_big="That is too big for me. I only reckon with numbers of up to fifteen digits.",
    undefined="That has no answer. At least not among the ordinary numbers.",
)

_INTENTS = {
    Intent.NAME_QUESTION: (
        r"\b(?:what|whats|do you know|do you remember|remember|tell me|say|forgot|guess)\b"
        r".*\bmy name\b(?! is| s )",
        r"\bwho am i\b",
        r"\bdo you (?:remember|know) (?:me|who i am)\b",
    ),
    Intent.REPEAT: (
        r"^(?:\w+ ){0,4}repeat(?: (?:it|that|this|yourself|please|again|your|the last|what)\b.*)?$",
        r"\bsay (?:it |that |this )?(?:once |one )?(?:again|more time|once more|one more time)\b",
        r"^(?:please )?(?:once|one) more(?: time)?(?: please)?$",
        r"^(?:again|pardon|pardon me|come again|sorry what|what|excuse me)(?: please)?$",
        r"\bwhat (?:did|have) you (?:just )?(?:say|said)\b",
        r"\b(?:didnt|did not|couldnt|could not) (?:hear|catch|get|understand)\b",
    ),
    Intent.STORY: (
        r"(?<!for the )(?<!for that )(?<!for your )\b(?:story|stories|storey|tale|tales)\b",
    ),
    Intent.JOKE: (
        r"(?<!for the )(?<!for that )(?<!for your )"
        r"\b(?:joke|jokes|something funny|make me laugh)\b",
    ),
    Intent.FACT: (r"\b(?:fact|facts|something interesting|something new|surprise me)\b",),
    Intent.TIME: (
        r"\bwhat time (?:is it|it is|do you have|is)\b|\bwhat time(?: please| now)?$",
        r"\b(?:whats|what is|tell me|know|have|got|give me|is) (?:the )?(?:current |exact )?time\b"
        r"(?! of| when| to|s)",
        r"\b(?:time and (?:the )?date|date and (?:the )?time)\b",
        r"\btime is it\b|^(?:the )?time(?: please| now)?$",
    ),
    Intent.DATE: (
        r"\b(?:whats|what is|tell me|know|give me|is) (?:the )?(?:current |todays )?date\b(?! of)",
        r"\b(?:what|which) (?:day|date|month|year)(?: of the (?:week|month))? (?:is|it|are|do)\b",
        r"\b(?:time and (?:the )?date|date and (?:the )?time)\b",
        r"\bwhats (?:today|the day)\b|\bwhat is (?:today|the day)\b|\btodays date\b",
        r"^(?:and )?(?:the )?date(?: please| today)?$",
    ),
    Intent.CONNECT: (
        r"\b(?:connect|use|install|add|plug in|switch to|set up|get)\b"
        r".*\b(?:model|llm|gemini|gpt|chatgpt|brain)\b",
        r"\b(?:real|better|smarter|other|large|language) (?:language )?(?:model|brain)\b",
    ),
    Intent.IDENTITY: (
        r"\b(?:who|what) (?:are|re) you\b(?! (?:doing|up|going))|\bwho is this\b",
        r"\byour name\b|\bwhat (?:should|can|do) i call you\b|\bhow are you called\b",
        r"\bintroduce yourself\b|\babout yourself\b",
        r"\bare you (?:a |an |the |really |some )*(?:real|human|robot|person|machine|ai|bot|"
        r"computer|alive|chat|chatgpt|gpt|gemini|language|llm|artificial)\b",
    ),
    Intent.ABILITIES: (
        r"\bwhat (?:else )?(?:can|could) (?:you|i) (?:do|ask|say|tell|talk)\b",
        r"\bhow can you help\b|\bwhat do you (?:do|know)\b|\bwhat are you able\b",
        r"^(?:please )?(?:can you |could you )?help(?: me)?(?: please)?$",
        r"\byour (?:abilities|skills|features)\b|\bhow (?:does this|do you) work\b",
    ),
    Intent.HOW_ARE_YOU: (
        r"\bhow (?:are|re) (?:you|things)\b|\bhows it going\b|\bhow is it going\b",
        r"\bhow (?:do you do|you doing|have you been|do you feel)\b|\bwhats up\b",
    ),
    Intent.THANKS: (r"\bthank(?:s| you)\b|\bcheers\b|\bappreciate\b",),
    Intent.GOODBYE: (
        r"\b(?:good ?bye|bye|see you|see ya|good ?night|farewell|take care|so long)\b",
    ),
    Intent.AGREED: (
        r"^(?:(?:ok|okay|yes|yeah|yep|no|nope|sure|fine|alright|all right|great|cool|good|nice|"
        r"perfect|right|i see) ?)+$",
    ),
    Intent.GREETING: (
        r"^(?:oh |well |and )?(?:hello|hallo|hullo|hi|hey|hiya|howdy|greetings|"
        r"good (?:morning|afternoon|evening|day))\b",
        r"\b(?:nice|pleased|glad) to meet you\b",
    ),
}

PHRASES = Phrases(
    intents=_INTENTS,
    vocabulary=frozenset(
        words_of(
            "story stories repeat again joke time date name hello thanks goodbye remember fact "
            "tell today model language times plus minus divided multiplied"
        )
    ),
    repeat_after=r"(?i)^\W*(?:(?:please|can you|could you|now)\W+)*(?:repeat|say)\s+"
    r"(?:after\s+me|the\s+following)[\s:,.\"“]+(.+)$",
    names=Names(
        told=(
            r"(?i:\bmy\s+name\s*(?:['’]?s|\s+is)|\bi(?:['’]?m| am)\s+called|"
            r"\b(?:please|just|can|to)\s+call\s+me|^\W*call\s+me)\s+(.+)",
        ),
        greeted=(r"(?i:\bi\s*(?:['’]?m|am)|\bthis\s+is)\s+(.+)",),
        no_names=frozenset(
            words_of(
                "a an the not what whats who how that this it is was my your our in on at from to "
                "so very really just fine good well ok okay here back back. later again when if "
                "tomorrow now and but tired happy sad sorry glad hungry sure still going too"
            )
        ),
        particles=frozenset({"de", "del", "la", "van", "von", "der", "da", "dos", "bin", "al"}),
    ),
    arithmetic=_ARITHMETIC,
    clock=Clock(
        time="h:mm a",
        whole_hour="h a",
        says_time="It is {}.",
        says_one_o_clock="It is {}.",
        says_date="Today is {}.",
    ),
    vocative=", {}",
    greeting="Hello{name}! It is good to see you. What would you like to know?",
    met="Hello{name}! Nice to meet you. I will remember your name while we talk.",
    met_briefly="Hello{name}!",
    your_name="Of course. Your name is {name}.",
    name_unknown="I don't know yet. Tell me your name, and I will remember it while we talk.",
    identity=(
        "I'm Avatar. I am a small demonstration: my face and my voice are generated, and my brain "
        "is a handful of rules. You are talking to a machine."
    ),
    abilities=(
        "A few things. I can tell you the time and the date, do sums, remember your name, repeat "
        "what I said, and tell you a story, a joke or a surprising fact."
    ),
    connect=(
        "Good idea. The README has a section called A real language model. It shows how to start "
        "me with another profile, and then we can talk about anything."
    ),
    how_are_you="Very well, thank you! All my rules are in order. And how can I help you{name}?",
    agreed="All right. Just ask when you need something.",
    thanks="You're welcome{name}! Is there anything else?",
    goodbye="Goodbye{name}! It was nice talking to you.",
    nothing_heard="Sorry? I did not hear any words.",
    nothing_to_repeat="Not yet. I have said nothing so far that I could repeat.",
    before_story="With pleasure.",
    stories=(
        "On a rock in the sea stood an old lighthouse, and in it lived a moth called Nell. Every "
        "evening she watched the great lamp and wished that she could shine as well. One winter "
        "night the lamp broke, and a fishing boat was still outside. Nell woke the fireflies who "
        "slept in the warm kitchen. They flew up together, hundreds of them, and danced behind the "
        "glass until the boat was safely home. The keeper mended the lamp in the morning. But the "
        "fishermen still say that the best light they ever saw had wings.",
        "A clockmaker once built a clock that ran a little slow. People laughed at it, so he put "
        "it in the window of the bakery, where nobody minded. Soon strange things happened. "
        "Children who looked at it arrived at school without hurry. Neighbours who met below it "
        "stayed for one more minute, and quarrels ended in that minute. The mayor asked for a "
        "clock just like it for the town hall. The clockmaker smiled and said that he could not "
        "build another. This one had not been made slow, he said. It had learned it, from "
        "listening.",
    ),
    jokes=(
        "Here is one. Why did the computer go to bed early? Because it had too many windows open, "
        "and there was a draught.",
        "All right. I asked a robot whether it was afraid of the dark. It said no, only of a low "
        "battery.",
        "Listen to this. A snail buys a racing car and paints a big letter S on it, so that "
        "everybody says: look at that S car go.",
    ),
    facts=(
        "Did you know? A day on Venus is longer than its year, because the planet turns so slowly.",
        "Here is one. An octopus has three hearts, and its blood is blue.",
        "Listen to this. Honey hardly ever spoils, because it holds too little water for germs.",
    ),
    unknown=(
        "I don't know that. I am a small demo brain with a few rules and no language model. To "
        "talk about anything, connect a real one: the README explains it under A real language "
        "model. Until then, ask me for the time, a sum or a story.",
        "That is beyond me. My rules know the time, sums, your name, stories and jokes. For "
        "everything else connect a real language model, as the README explains.",
    ),
)
