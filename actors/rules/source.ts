/** One parsed file: its nodes by type, who contains whom, and which name was declared where. */
import {
  bare,
  below,
  type Comment,
  calleeName,
  child,
  children,
  functionTypes,
  isCall,
  isFunction,
  isMember,
  keyOf,
  nameOf,
  patternNames,
  receiver,
  type Syntax,
  type SyntaxNode,
  word,
} from './syntax.ts';

/** The one declaration of a name. */
export interface Binding {
  readonly kind: 'const' | 'let' | 'var' | 'parameter' | 'function' | 'class' | 'import' | 'other';
  /** The identifier that declares it. */
  readonly id: SyntaxNode;
  /** What it is set to where it is declared, when it takes the whole value. */
  readonly value?: SyntaxNode;
  /** What a destructuring pattern takes it from. */
  readonly from?: SyntaxNode;
  /** The module and the export that it stands for; `*` is the whole module. */
  readonly origin?: Origin;
}

export interface Origin {
  readonly module: string;
  readonly name: string;
}

/** A parsed file. Names that are declared more than once resolve to nothing: better silent than wrong. */
export class Source {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  readonly root: SyntaxNode;
  readonly comments: readonly Comment[];
  readonly #byType = new Map<string, SyntaxNode[]>();
  readonly #parents = new Map<SyntaxNode, SyntaxNode>();
  readonly #bindings = new Map<string, Binding[]>();

  constructor(path: string, text: string, syntax: Syntax) {
    this.path = path;
    this.text = text;
    this.lines = text.split('\n');
    this.root = syntax.root;
    this.comments = syntax.comments;
    this.#index();
  }

  /** All nodes of these types, in source order. */
  nodes(...types: readonly string[]): readonly SyntaxNode[] {
    const [only = ''] = types;
    if (types.length === 1) return this.#byType.get(only) ?? [];
    return types.flatMap((type) => this.#byType.get(type) ?? []).sort((a, b) => a.start - b.start);
  }

  /** All calls. */
  calls(): readonly SyntaxNode[] {
    return this.nodes('CallExpression', 'OptionalCallExpression');
  }

  parent(node: SyntaxNode): SyntaxNode | undefined {
    return this.#parents.get(node);
  }

  /** What contains a node, from the inside out. */
  *ancestors(node: SyntaxNode): Generator<SyntaxNode> {
    for (let next = this.parent(node); next !== undefined; next = this.parent(next)) yield next;
  }

  /** The function whose code a node is. */
  functionOf(node: SyntaxNode): SyntaxNode | undefined {
    for (const ancestor of this.ancestors(node)) if (isFunction(ancestor)) return ancestor;
    return undefined;
  }

  /** The name that a function goes by: its own, or that of what it is assigned to. */
  functionName(node: SyntaxNode): string | undefined {
    const own = nameOf(child(node, 'id')) ?? keyOf(node);
    if (own !== undefined) return own;
    const parent = this.parent(node);
    if (parent?.type === 'VariableDeclarator') return nameOf(child(parent, 'id'));
    if (parent?.type === 'AssignmentExpression') return nameOf(child(parent, 'left'));
    return parent?.type === 'ObjectProperty' || parent?.type === 'ClassProperty' ? keyOf(parent) : undefined;
  }

  /** The only declaration of a name; undefined when there is none or more than one. */
  binding(name: string | undefined): Binding | undefined {
    const all = name === undefined ? undefined : this.#bindings.get(name);
    return all?.length === 1 ? all[0] : undefined;
  }

  /** Whether an identifier means the global of that name. */
  isGlobal(node: SyntaxNode | undefined, name: string): boolean {
    return node?.type === 'Identifier' && word(node, 'name') === name && !this.#bindings.has(name);
  }

  /** The value of a `const` that an identifier names. */
  constant(node: SyntaxNode): SyntaxNode | undefined {
    const binding = node.type === 'Identifier' ? this.binding(word(node, 'name')) : undefined;
    return binding?.kind === 'const' ? bare(binding.value) : undefined;
  }

  /** The parameter that an identifier names, by the functions around it. */
  parameter(node: SyntaxNode): SyntaxNode | undefined {
    if (node.type !== 'Identifier') return undefined;
    const name = word(node, 'name');
    for (const ancestor of this.ancestors(node)) {
      if (!isFunction(ancestor)) continue;
      for (const parameter of children(ancestor, 'params')) {
        for (const id of patternNames(parameter)) if (word(id, 'name') === name) return id;
      }
    }
    return undefined;
  }

  /** The module and export that an expression stands for: `fs.readFileSync`, an imported name, `require('fs').x`. */
  origin(node: SyntaxNode | undefined): Origin | undefined {
    if (node === undefined) return undefined;
    if (node.type === 'Identifier') return this.binding(word(node, 'name'))?.origin;
    if (isMember(node)) {
      const whole = this.origin(child(node, 'object'));
      const name = nameOf(node);
      return whole?.name === '*' && name !== undefined ? { module: whole.module, name } : undefined;
    }
    return this.#loadedModule(node);
  }

  textOf(node: SyntaxNode): string {
    return this.text.slice(node.start, node.end);
  }

  #index(): void {
    const stack = [this.root];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const sameType = this.#byType.get(node.type);
      if (sameType === undefined) this.#byType.set(node.type, [node]);
      else sameType.push(node);
      const inner = [...below(node)];
      for (const one of inner) this.#parents.set(one, node);
      stack.push(...inner.reverse());
    }
    for (const node of this.nodes('ImportDeclaration')) this.#bindImports(node);
    for (const node of this.nodes('VariableDeclaration')) this.#bindVariables(node);
    for (const node of this.nodes('CatchClause')) this.#bindPattern(child(node, 'param'), 'other');
    for (const node of this.nodes(...functionTypes)) {
      for (const pattern of children(node, 'params')) this.#bindPattern(pattern, 'parameter');
    }
    for (const [type, kind] of namedTypes) for (const node of this.nodes(type)) this.#bind(child(node, 'id'), kind);
  }

  #bindImports(node: SyntaxNode): void {
    const module = moduleName(word(child(node, 'source'), 'value') ?? '');
    for (const specifier of children(node, 'specifiers')) {
      const imported = specifier.type === 'ImportSpecifier' ? nameOf(child(specifier, 'imported')) : '*';
      const origin = { module, name: imported === 'default' ? '*' : (imported ?? '*') };
      this.#bind(child(specifier, 'local'), 'import', { origin });
    }
  }

  #bindVariables(node: SyntaxNode): void {
    const kind = declarationKind(node);
    for (const declarator of children(node, 'declarations')) {
      const pattern = child(declarator, 'id');
      const value = child(declarator, 'init');
      const origin = kind === 'let' ? undefined : this.#loadedModule(value);
      if (pattern?.type === 'Identifier')
        this.#bind(pattern, kind, { ...(value && { value }), ...(origin && { origin }) });
      else if (pattern?.type === 'ObjectPattern') this.#bindProperties(pattern, kind, value, origin);
      else this.#bindPattern(pattern, kind, value && { from: value });
    }
  }

  #bindProperties(pattern: SyntaxNode, kind: Binding['kind'], from?: SyntaxNode, whole?: Origin): void {
    for (const property of children(pattern, 'properties')) {
      const isPlain = property.type === 'ObjectProperty' && child(property, 'value')?.type === 'Identifier';
      const name = isPlain && whole?.name === '*' ? keyOf(property) : undefined;
      const origin = whole === undefined || name === undefined ? undefined : { module: whole.module, name };
      this.#bindPattern(property, kind, { ...(from && { from }), ...(origin && { origin }) });
    }
  }

  #bindPattern(pattern: SyntaxNode | undefined, kind: Binding['kind'], facts?: Partial<Binding>): void {
    for (const id of patternNames(pattern)) this.#bind(id, kind, facts);
  }

  #bind(id: SyntaxNode | undefined, kind: Binding['kind'], facts: Partial<Binding> = {}): void {
    const name = nameOf(id);
    if (id === undefined || name === undefined) return;
    const all = this.#bindings.get(name) ?? [];
    all.push({ ...facts, kind, id });
    this.#bindings.set(name, all);
  }

  /** The module that `require('x')`, `await import('x')` or `promisify(x)` gives. */
  #loadedModule(node: SyntaxNode | undefined): Origin | undefined {
    const value = node?.type === 'AwaitExpression' ? child(node, 'argument') : bare(node);
    if (value === undefined) return undefined;
    if (isMember(value)) return this.origin(value);
    if (!isCall(value)) return undefined;
    const [first] = children(value, 'arguments');
    const callee = child(value, 'callee');
    const name = calleeName(value);
    if (name === 'promisify') return this.origin(first);
    const loads = callee?.type === 'Import' || (name === 'require' && receiver(value) === undefined);
    return loads && first?.type === 'StringLiteral'
      ? { module: moduleName(word(first, 'value') ?? ''), name: '*' }
      : undefined;
  }
}

const namedTypes: readonly (readonly [string, Binding['kind']])[] = [
  ['FunctionDeclaration', 'function'],
  ['FunctionExpression', 'function'],
  ['ClassDeclaration', 'class'],
  ['ClassExpression', 'class'],
  ['TSDeclareFunction', 'function'],
  ['TSEnumDeclaration', 'other'],
  ['TSModuleDeclaration', 'other'],
  ['TSImportEqualsDeclaration', 'other'],
];

function declarationKind(node: SyntaxNode): Binding['kind'] {
  const kind = word(node, 'kind');
  return kind === 'const' || kind === 'let' || kind === 'var' ? kind : 'other';
}

function moduleName(specifier: string): string {
  const plain = specifier.replace(/^node:/, '');
  return plain === 'fs/promises' ? 'fs.promises' : plain;
}
