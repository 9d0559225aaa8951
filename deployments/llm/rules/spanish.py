"""The rules' Spanish. Patterns are written without accents, as plain text has none."""

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
    "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce "
    "quince dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidos "
    "veintitres veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve"
)
_TENS = words_of("treinta cuarenta cincuenta sesenta setenta ochenta noventa")
_HUNDREDS = {
    "cien": 100,
    "ciento": 100,
    "doscientos": 200,
    "trescientos": 300,
    "cuatrocientos": 400,
    "quinientos": 500,
    "seiscientos": 600,
    "setecientos": 700,
    "ochocientos": 800,
    "novecientos": 900,
}

_NUMERALS = Numerals(
    small={word: i for i, word in enumerate(_SMALL)}
    | {word: 10 * i for i, word in enumerate(_TENS, 3)}
    | _HUNDREDS
    | {"un": 1, "una": 1, "veintiun": 21},
    scales={"mil": 1000, "millon": 10**6, "millones": 10**6},
    joiners=frozenset({"y"}),
    joined_after=frozenset(_TENS),
    point=frozenset({"coma", "punto"}),
    decimal_comma=True,
)

_ARITHMETIC = Arithmetic(
    numerals=_NUMERALS,
    rewrites=(
        (r"\bpor favor\b", " "),
        (r"\b(?:divide|dividir|divideme)\b(.+?)\b(?:entre|por|para)\b(.+)", r" \1 / \2 "),
        (r"\b(?:multiplica|multiplicar|producto de)\b(.+?)\b(?:por|y)\b(.+)", r" \1 * \2 "),
        (r"\b(?:sumar?|sumame|la suma de)\b(.+?)\b(?:y|mas|con|a)\b(.+)", r" \1 + \2 "),
        (r"\b(?:resta|restar|restale|quita)\b(.+?)\b(?:de|a)\b(.+)", r" \2 - \1 "),
        (r"\belevado a(?: la)?(?: potencia(?: de)?)?\b|\ba la potencia(?: de)?\b", " ** "),
        (r"\bal cuadrado\b", " squared "),
        (r"\bal cubo\b", " cubed "),
        (r"\b(?:la )?raiz(?: cuadrada)? de\b|\bsqrt\b", " sqrt "),
        (r"(?:\bpor ciento|%) de\b", " percent "),
        (r"\b(?:la )?mitad de\b", " half "),
        (r"\b(?:el )?doble de\b", " double "),
        (r"\bdividid[oa] (?:entre|por)\b|\bentre\b", " / "),
        (r"\bmultiplicad[oa] por\b|\bpor\b|\bveces\b|(?<=\d)\s*x\s*(?=\d)", " * "),
        (r"\bmas\b", " + "),
        (r"\bmenos\b", " - "),
    ),
    fillers=frozenset(
        words_of(
            "oye hola avatar dime di puedes podrias me decir cuanto cuantos cuanta es son da dan "
            "que cual el la los las resultado de calcula calcular calculame haz hacer cuenta suma "
            "igual a y entonces ahora bueno ok vale quiero saber necesito resuelve gracias lo un "
            "una hacen hace seria serian quanto numero"
        )
    ),
    spoken={
        "+": "más",
        "-": "menos",
        "*": "por",
        "/": "entre",
        "**": "elevado a",
        "sqrt": "la raíz cuadrada de",
        "percent": "por ciento de",
        "negative": "menos",
        "squared": "al cuadrado",
        "cubed": "al cubo",
        "half": "la mitad de",
        "double": "el doble de",
    },
    exact="A ver. {sum} es {result}.",
    rounded="A ver. {sum} es aproximadamente {result}.",
    by_zero="No se puede. Nada se puede dividir entre cero.",
    too_big="Es demasiado grande. Solo calculo con números de hasta quince cifras.",
    undefined="No tiene respuesta. Al menos no entre los números de siempre.",
)

_INTENTS = {
    Intent.NAME_QUESTION: (
        r"\bcomo me llamo\b(?! \w)|\bquien soy(?: yo)?$",
        r"\b(?:cual|sabes|recuerdas|acuerdas|dime|di|repite)\b.*\bmi nombre\b(?! es)",
        r"\b(?:me recuerdas|te acuerdas de mi)\b|\b(?:sabes|recuerdas) como me llamo\b",
    ),
    Intent.REPEAT: (
        r"\b(?:repite|repita|repitelo|repitalo|repetir|repetirlo|repiteme|repetirme)\b",
        r"\b(?:dilo|digalo|di eso|dimelo|dime eso) (?:otra vez|de nuevo|una vez mas)\b",
        r"^(?:otra vez|de nuevo|una vez mas|como|perdon|como dices|que dices|mande)"
        r"(?: por favor)?$",
        r"\bque (?:dijiste|has dicho|acabas de decir)\b",
        r"\bno te (?:oi|oigo|entendi|entiendo|he oido|he entendido)\b",
    ),
    Intent.STORY: (
        r"(?<!por el )(?<!por la )(?<!por tu )"
        r"\b(?:cuento|cuentos|historia|historias|relato|fabula)\b",
    ),
    Intent.JOKE: (
        r"(?<!por el )(?<!por tu )"
        r"\b(?:chiste|chistes|broma|hazme reir|algo gracioso|algo divertido)\b",
    ),
    Intent.FACT: (
        r"\b(?:curiosidad|curiosidades|dato|datos|algo interesante|algo curioso|sorprendeme)\b",
        r"\bcuentame algo\b",
    ),
    Intent.TIME: (
        r"\bque horas? (?:es|son|tienes|tiene|sera)\b",
        r"\b(?:dime|decirme|sabes|tienes|dame|cual es) (?:la )?hora\b",
        r"^(?:que|la) hora(?: por favor)?$",
    ),
    Intent.DATE: (
        r"\b(?:que|cual) (?:dia|fecha|mes|ano)(?: de la semana)? (?:es|estamos|tenemos)\b",
        r"\ba que (?:dia |fecha )?estamos\b|\ba cuantos estamos\b",
        r"\b(?:dime|decirme|sabes|dame|cual es) la fecha\b|\bfecha (?:de hoy|actual)\b",
        r"^(?:la )?fecha(?: por favor)?$",
    ),
    Intent.CONNECT: (
        r"\b(?:conect\w+|usar|uso|instal\w+|anad\w+|cambi\w+|configur\w+|pon\w*)\b"
        r".*\b(?:modelo|llm|gemini|gpt|chatgpt|cerebro)\b",
        r"\b(?:modelo|cerebro) (?:de lenguaje|real|mejor|de verdad)\b",
    ),
    Intent.IDENTITY: (
        r"\b(?:quien|que) eres\b|\bcomo te llamas\b|\btu nombre\b|\bquien es usted\b",
        r"\bcomo se llama usted\b|\bpresentate\b|\bhablame de ti\b",
        r"\beres (?:un |una |el |la )?(?:real|human[oa]|robot|persona|maquina|ia|bot|de verdad|"
        r"inteligencia|ordenador|chatgpt|gpt|gemini|modelo)\b",
    ),
    Intent.ABILITIES: (
        r"\bque (?:mas )?(?:puedes|sabes|podrias|puede|sabe) (?:hacer|decir|contar)\b",
        r"\bque haces\b|\bcomo funcionas\b|\bque (?:te )?puedo (?:preguntar|pedir)\w*\b",
        r"\b(?:en que|como) (?:me )?(?:puedes|puede) ayudar(?:me)?\b",
        r"^(?:ayuda|ayudame|me ayudas|puedes ayudarme)(?: por favor)?$",
    ),
    Intent.HOW_ARE_YOU: (
        r"\b(?:como estas|que tal|como te va|como andas|como esta usted|como va todo|todo bien)\b",
    ),
    Intent.THANKS: (r"\b(?:gracias|te lo agradezco|muy amable)\b",),
    Intent.GOODBYE: (r"\b(?:adios|hasta (?:luego|manana|pronto|la vista)|nos vemos|chao|chau)\b",),
    Intent.AGREED: (
        r"^(?:(?:vale|ok|okay|si|no|claro|bueno|bien|muy bien|perfecto|genial|de acuerdo|ya) ?)+$",
    ),
    Intent.GREETING: (
        r"^(?:muy |oye )?(?:hola|ola|buenas|buenos dias|buen dia|saludos|hey)\b",
        r"\b(?:encantad[oa]|mucho gusto)\b",
    ),
}

PHRASES = Phrases(
    intents=_INTENTS,
    vocabulary=frozenset(
        words_of(
            "cuento historia repite chiste fecha hora nombre gracias adios recuerdas hola "
            "curiosidad modelo lenguaje menos cuanto dividido multiplicado"
        )
    ),
    repeat_after=r"(?i)^\W*(?:(?:por favor|puedes|ahora)\W+)*(?:repite|repita|repetir|di|diga)\s+"
    r"(?:despu[eé]s\s+de\s+m[ií]|conmigo|lo\s+siguiente|esto)[\s:,.\"“«]+(.+)$",
    names=Names(
        told=(
            r"(?i:(?<!c[oó]mo )(?<!no )\bme\s+llamo|\bmi\s+nombre\s+es|\b(?:puedes\s+)?"
            r"(?:ll[aá]mame|llamarme))\s+(.+)",
        ),
        greeted=(r"(?i:\b(?:yo\s+)?soy)\s+(.+)",),
        no_names=frozenset(
            words_of(
                "un una el la los las no que como cual muy bien mal de del en y pero yo tu mi "
                "ahora luego mas tarde manana cuando si nuevo aqui alli asi"
            )
        ),
        particles=frozenset({"de", "del", "la", "las", "los", "y", "van", "von", "da", "dos"}),
    ),
    arithmetic=_ARITHMETIC,
    clock=Clock(
        time="h 'y' m B",
        whole_hour="h B",
        says_time="Son las {}.",
        says_one_o_clock="Es la {}.",
        says_date="Hoy es {}.",
    ),
    vocative=", {}",
    greeting="¡Hola{name}! Me alegro de verte. ¿Qué te gustaría saber?",
    met="¡Hola{name}! Mucho gusto. Recordaré tu nombre mientras hablamos.",
    met_briefly="¡Hola{name}!",
    your_name="Claro que sí. Te llamas {name}.",
    name_unknown="Aún no lo sé. Dime tu nombre y lo recordaré mientras hablamos.",
    identity=(
        "Soy Avatar. Soy una pequeña demostración: mi cara y mi voz son generadas, y mi cerebro es "
        "un puñado de reglas. Estás hablando con una máquina."
    ),
    abilities=(
        "Unas cuantas cosas. Puedo decirte la hora y la fecha, hacer cuentas, recordar tu nombre, "
        "repetir lo que dije y contarte un cuento, un chiste o una curiosidad."
    ),
    connect=(
        "Buena idea. El archivo README tiene una sección sobre cómo usar un modelo real. Explica "
        "cómo iniciarme con otro perfil, y entonces podremos hablar de todo."
    ),
    how_are_you=(
        "¡Muy bien, gracias! Todas mis reglas están en orden. ¿En qué puedo ayudarte{name}?"
    ),
    agreed="Muy bien. Pregunta cuando quieras.",
    thanks="¡De nada{name}! ¿Necesitas algo más?",
    goodbye="¡Adiós{name}! Ha sido un placer hablar contigo.",
    nothing_heard="¿Perdón? No he oído ninguna palabra.",
    nothing_to_repeat="Todavía no. Aún no he dicho nada que pueda repetir.",
    before_story="Con mucho gusto.",
    stories=(
        "En un pueblo de montaña vivía una panadera que hablaba con su horno. Cada noche le "
        "contaba lo que había visto durante el día, y por la mañana el pan sabía a aquellas "
        "historias. Había pan de lluvia, pan de feria y pan de primer amor. Un invierno la "
        "panadera se quedó sin voz, y el pan salió blanco y triste. Entonces los vecinos fueron "
        "a su casa, uno tras otro, y le contaron sus propias historias al horno. Al amanecer, "
        "todo el pueblo olía a fiesta. Desde aquel día, en la panadería nadie paga sin contar "
        "algo primero.",
        "Un faro viejo se aburría de mirar siempre el mismo mar. Una noche le pidió a la luna que "
        "le enseñara otros lugares. La luna no podía moverlo, pero le prestó su espejo. En él vio "
        "desiertos, bosques y ciudades llenas de ventanas encendidas. El faro miró durante horas y "
        "casi olvidó girar su luz. De pronto oyó la bocina de un barco pequeño que lo buscaba en "
        "la niebla. El faro giró con todas sus fuerzas, y el barco llegó al puerto. Desde entonces "
        "no necesita el espejo, porque sabe que alguien, muy lejos, lo está mirando a él.",
    ),
    jokes=(
        "Aquí va uno. ¿Por qué se resfrió el ordenador? Porque dejó demasiadas ventanas abiertas.",
        "Escucha este. Le pregunté a un robot si tenía miedo a la oscuridad. Me dijo que no, solo "
        "a quedarse sin batería.",
        "A ver este. Un caracol le dice a otro: no corras tanto, que no llegamos a disfrutar del "
        "paisaje.",
    ),
    facts=(
        "¿Lo sabías? En Venus un día dura más que un año, porque el planeta gira muy despacio.",
        "Aquí tienes una. El pulpo tiene tres corazones, y su sangre es azul.",
        "Escucha esto. La miel casi nunca se estropea, porque tiene muy poca agua para los "
        "microbios.",
    ),
    unknown=(
        "Eso no lo sé. Soy un pequeño cerebro de demostración, con unas reglas y sin modelo de "
        "lenguaje. Para hablar de todo, conecta uno de verdad: el README explica cómo, en la "
        "sección sobre un modelo real. Mientras tanto, pídeme la hora, una cuenta o un cuento.",
        "Eso me supera. Mis reglas saben la hora, cuentas, tu nombre, cuentos y chistes. Para lo "
        "demás conecta un modelo de lenguaje de verdad, como explica el README.",
    ),
)
