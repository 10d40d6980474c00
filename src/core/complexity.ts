/**
 * How hard a task is, from its words alone: a table of signs with a weight each, added up. It reads no meaning.
 *
 * C1  Pure and linear: the same text gives the same score, and a text of any length takes time in proportion to it.
 * C2  The weights of the reasons add up to the score, before it is kept within 0 and 1.
 * C3  Words count only where something is asked: in the first paragraph, up to a colon that ends a line, and in the last,
 *     outside of code and quotations. Pasted material does not make a task hard.
 *
 * Words are known in English, German, Spanish and Chinese. Of other languages only length and structure count, so that
 * their score stays near the middle: neither the smallest model nor the best.
 */

/** One thing that speaks for a hard task, or against it. */
export interface ComplexityReason {
  readonly what: string;
  /** What it adds to the score; below 0 when it speaks for an easy task. */
  readonly weight: number;
}

/** How hard a task is, and why. */
export interface Complexity {
  /** From 0, a word would do, to 1, the best model there is. */
  readonly score: number;
  readonly reasons: readonly ComplexityReason[];
}

/** Says how hard a task is. It takes no model and no time worth naming; a wrong guess is likely where words mislead. */
export function analyzeComplexity(task: string): Complexity {
  const text = partsOf(task);
  const reasons = [
    { what: 'any task', weight: anyTask },
    ...signs.flatMap((sign) => reasonsOf(sign, text)),
    ...measures.map((measure) => weigh(measure, text)).filter(({ weight }) => weight !== 0),
  ];
  const sum = reasons.reduce((total, { weight }) => total + weight, 0);
  return { score: Math.min(1, Math.max(0, Math.round(sum * 1000) / 1000)), reasons };
}

const anyTask = 0.3;

/** Words between commas, in lower case without accents. `^` in front: only at the begin. `*` behind: with any ending. */
interface Words {
  readonly english: string;
  readonly german: string;
  readonly spanish: string;
  readonly chinese: string;
}

/** What words speak for. It counts once. */
interface Sign extends Words {
  readonly what: string;
  readonly weight: number;
}

const signs: readonly Sign[] = [
  {
    what: 'a proof or a derivation',
    weight: 0.5,
    english: 'prove, proof*, disprove, derive, derivation, counterexample*, show that, formally verif*',
    german: 'beweis*, widerleg*, leite her, gegenbeispiel*',
    spanish: 'demuestra*, demostra*, demuestre, deduce, deriva, contraejemplo*',
    chinese: '证明,推导,反例',
  },
  {
    what: 'a design or an architecture',
    weight: 0.35,
    english:
      'design, redesign, architect*, data model, threat model*, distributed, scalab*, fault toleran*, consistency, protocol',
    german: 'entwirf, entwerfe*, architektur*, datenmodell*, verteilte*, skalierbar*, konsistenz',
    spanish: 'disena*, disene, arquitectura*, modelo de datos, distribuid*, escalab*, tolerancia a fallos',
    chinese: '设计,架构,分布式,一致性,高可用',
  },
  {
    what: 'a plan over time, a migration',
    weight: 0.25,
    english:
      'migrat*, strategy, strategies, roadmap, roll back, rollback, roll out, downtime, legacy, monolith*, phases, milestones',
    german: 'migration, migrier*, strategie*, fahrplan, ausfallzeit*, altsystem*, monolith*',
    spanish: 'migra*, estrategia*, hoja de ruta, monolit*, fases',
    chinese: '迁移,战略,路线图,停机',
  },
  {
    what: 'a diagnosis',
    weight: 0.4,
    english:
      'debug*, diagnos*, root cause*, causes, race condition*, deadlock*, memory leak*, leaks, flaky, intermittent*, regression, find the bug, out of memory, oom*, segfault*, crashes, investigate, under load',
    german: 'debugg*, diagnos*, ursache*, wettlauf*, verklemmung*, deadlock*, speicherleck*, sporadisch*, unter last',
    spanish:
      'depura*, diagnos*, causa raiz, causas, condicion de carrera, interbloqueo*, fuga de memoria, intermitente*',
    chinese: '排查,诊断,根因,原因,死锁,泄漏,竞态,偶发,线上',
  },
  {
    what: 'a judgement between positions',
    weight: 0.25,
    english:
      'trade off*, tradeoff*, justify, justification, defend, argue, argument, evaluate, critique, assumption*, implications, objection*, decide',
    german: 'abwag*, begrund*, bewerte, annahmen, argumentier*, analysier*',
    spanish: 'justifica*, argumenta*, evalua*, supuestos, ventajas e inconvenientes, analiza*',
    chinese: '取舍,权衡,论证,评估,分析',
  },
  {
    what: 'work over many files',
    weight: 0.3,
    english:
      'refactor*, codebase, code base, repository, repo, modules, packages, across, file by file, all files, every file',
    german: 'refaktorier*, codebasis, repository, alle dateien, module',
    spanish: 'refactoriza*, repositorio, modulos, todos los archivos, base de codigo',
    chinese: '重构,代码库,多个文件,模块',
  },
  {
    what: 'work at the limits of speed, size or safety',
    weight: 0.2,
    english:
      'optimis*, optimiz*, complexity, concurren*, lock free, compiler*, kernel*, bottleneck*, real time, security, encryption, invariant*, deterministic',
    german: 'optimier*, komplexitat, nebenlauf*, echtzeit, engpass*, sicherheit, verschlussel*',
    spanish: 'optimiza*, complejidad, concurren*, tiempo real, cuello de botella, seguridad, cifrado',
    chinese: '优化,复杂度,并发,实时,瓶颈,安全,加密',
  },
  {
    what: 'a text, code, a sum or an explanation to make',
    weight: 0.25,
    english:
      'a function, a class, a component, a script, bash script, python script, sql, query, implement*, algorithm*, unit tests, tests, dockerfile, endpoint, api, ^review, review this, code review, write code, code that, this code, the code, my code, error, throws, explain*, explanation, compare*, comparison, difference*, why, how to, how do, how does, how can, how would, how should, how is, how are, how it, how they, how we, how you, calculate, compute, solve, equation*, inequality, integers, probability, remainder, area of, volume of, find the value, riddle, puzzle, for each, pros and cons, advantages, for and against, walk me through, show the calculation, work through, draft, story, cover letter, essay, article, speech, email to, letter to, newsletter, report, plan, itinerary, ideas, write a, write an, rewrite, turn these, agenda',
    german:
      'berechne*, lose die, gleichung*, wahrscheinlichkeit*, ratsel, funktion, skript, programm, klasse, implementier*, algorithmus, tests, abfrage, erklar*, unterschied*, vergleich*, warum, wieso, vor und nachteile*, schreib*, verfass*, entwurf, aufsatz, plan, brief an, geschichte',
    spanish:
      'calcula*, resuelve*, ecuacion*, probabilidad*, acertijo, funcion, un script, programa, una clase, implementa*, algoritmo, pruebas, consulta, explica*, compara*, diferencia*, por que, ventajas, paso a paso, escribe*, redacta*, ensayo, articulo, plan, carta, historia',
    chinese:
      '计算,求解,方程,概率,函数,代码,脚本,算法,程序,实现,解释,比较,对比,区别,为什么,说明,优缺点,写一,撰写,起草,作文,计划',
  },
  {
    what: 'one operation on what is given',
    weight: -0.3,
    english:
      'extract, identify, translate, classify, categorize, categorise, named entities, how many times, on a scale, convert this, reformat, ^format, ^fix, fix the typos, proofread, ^rename, ^sort, ^tag, ^pick, ^list, ^label, ^count, summarise in, summarize in, summarise this, summarize this, sum up, in one sentence, one word, nothing else, bullet points, uppercase, lowercase, which of these, make this, turn this, don t change anything else',
    german:
      'ubersetz*, korrigier*, extrahier*, klassifizier*, formatier*, wandle, fasse in, in einem satz, ein wort, sortier*, nenne nur',
    spanish:
      'traduce*, traducir, corrige*, extrae*, clasifica*, convierte*, ^resume, resumen, en una frase, una palabra, ordena',
    chinese: '翻译,提取,分类,改写,总结,概括,纠正,一个词,一句话,这句话',
  },
  {
    what: 'a question of fact',
    weight: -0.15,
    english:
      '^what is, ^what does, ^what time, ^who, ^when, ^where, ^how many, ^how much, ^how old, ^how do you say, ^is, ^define',
    german: '^was ist, ^was heisst, ^wer, ^wann, ^wo, ^wie viele, ^wie viel, ^wie heisst',
    spanish: '^que es, ^cual es, ^quien, ^cuando, ^donde, ^cuantos, ^cuantas, ^como se dice',
    chinese: '哪里,是谁,多少,是什么,几点,什么时候',
  },
];

/** A number that is taken of the text. */
interface Measure {
  readonly what: string;
  readonly of: (text: Parts) => number;
  /** Up to here it adds nothing. */
  readonly above: number;
  readonly weightEach: number;
  readonly atMost: number;
}

const measures: readonly Measure[] = [
  { what: 'parts of what is asked', of: ({ asked }) => count(asked, stop), above: 1, weightEach: 0.025, atMost: 0.2 },
  { what: 'words that ask', of: ({ words }) => lengthOf(words), above: 12, weightEach: 0.004, atMost: 0.15 },
  { what: 'constraints', of: ({ words }) => constraintsIn(words), above: 0, weightEach: 0.02, atMost: 0.1 },
  { what: 'listed points', of: ({ prose }) => count(prose, listedPoint), above: 2, weightEach: 0.02, atMost: 0.1 },
  { what: 'blocks of code', of: ({ code }) => code.length, above: 0, weightEach: 0.1, atMost: 0.2 },
];

/** What ends a part: a comma or a stop. In Chinese no blank follows it. */
const stop = /[,;:.?!](?=\s|$)|[、，；：。？！]/gu;

const listedPoint = /^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]/gm;

const constraints: Words = {
  english: 'must, without, at most, at least, under, below, exactly, keep, avoid, never, no more than',
  german: 'muss, mussen, ohne, hochstens, mindestens, genau, vermeide',
  spanish: 'debe, deben, sin, como maximo, al menos, exactamente, evita',
  chinese: '必须,不要,不超过,至少,不能',
};

/** The text, taken apart once. */
interface Parts {
  /** Where something is asked, as it is written, without what is quoted or said by the way. */
  readonly asked: string;
  /** Its words in lower case without accents, one blank between them and around. */
  readonly words: string;
  /** Everything but the blocks of code. */
  readonly prose: string;
  readonly code: readonly string[];
}

const mostAsked = 2000;

function partsOf(task: string): Parts {
  const pieces = task.replaceAll('\r\n', '\n').split('```');
  const code = pieces.filter((_, index) => index % 2 === 1);
  const prose = pieces.filter((_, index) => index % 2 === 0).join('\n\n');
  const paragraphs = prose.split(/\n\n|:\n/).filter((paragraph) => paragraph.trim() !== '');
  const [first = '', ...rest] = paragraphs;
  const last = rest.length > 1 || code.length > 0 ? (rest.at(-1) ?? '') : '';
  const asked = [first.slice(0, mostAsked), last.slice(-mostAsked)].join('\n').replace(aside, ' ');
  const bare = asked.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
  return { asked, words: ` ${(bare.match(/[\p{L}\p{N}]+/gu) ?? []).join(' ')} `, prose, code };
}

/** What is only quoted or said by the way. */
const aside = /"[^"]*"|“[^“”]*”|«[^«»]*»|「[^「」]*」|\([^()]*\)/g;

/** The reason that a sign gives, with the word that was found; none when there is none. */
function reasonsOf(sign: Sign, text: Parts): ComplexityReason[] {
  const [word] = found(sign, text.words);
  return word === undefined ? [] : [{ what: `${sign.what} ("${word.replace(/[*^]/g, '')}")`, weight: sign.weight }];
}

function found({ english, german, spanish, chinese }: Words, asked: string): string[] {
  const words = [english, german, spanish].flatMap((list) => list.split(', '));
  return [...words.filter((word) => stands(word, asked)), ...chinese.split(',').filter((word) => asked.includes(word))];
}

function stands(word: string, asked: string): boolean {
  const first = word.startsWith('^');
  const open = word.endsWith('*');
  const text = ` ${word.slice(first ? 1 : 0, open ? -1 : undefined)}${open ? '' : ' '}`;
  return first ? asked.startsWith(text) : asked.includes(text);
}

function constraintsIn(words: string): number {
  return found(constraints, words).length;
}

function weigh({ what, of, above, weightEach, atMost }: Measure, text: Parts): ComplexityReason {
  const number = of(text);
  return { what: `${number} ${what}`, weight: Math.min(atMost, Math.max(0, (number - above) * weightEach)) };
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}

const hanPerWord = 2;

/** Number of words; Chinese has no blanks between them, so two characters are taken for one. */
function lengthOf(words: string): number {
  const han = count(words, /\p{Script=Han}/gu);
  return Math.round(count(words.replace(/\p{Script=Han}/gu, ''), /\S+/g) + han / hanPerWord);
}
