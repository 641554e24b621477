//! J1: forms that test programs take beyond `assert f(x) == y`. For each a program that is right and one that is not.

use z1::task::{Language, Verdict};

use super::{asserts, judge_with, options, walls};

/// What it is about, a right program, a wrong one, the tests.
const FORMS: [(&str, &str, &str, &str, &str); 28] = [
    (
        "lists of floats within a tolerance",
        "f",
        "def f(x): return [x/3, 0.1+0.2]",
        "def f(x): return [x/3, 0.31]",
        "def check(candidate):\n    import math\n    assert all(math.isclose(a,b) for a,b in zip(candidate(1.0),[1/3,0.3]))\n    assert len(candidate(1))==2\n",
    ),
    (
        "nested containers of exact types",
        "f",
        "def f(x): return {frozenset(x): (1,[2])}",
        "def f(x): return {frozenset(x): (1,(2,))}",
        "def check(candidate):\n    assert candidate([1])=={frozenset([1]):(1,[2])}\n",
    ),
    (
        "an exception of its own, with arguments",
        "f",
        "class MyErr(Exception): pass\ndef f(x):\n    raise MyErr(\"no\", 3)",
        "def f(x): return 0",
        "def check(candidate):\n    try:\n        candidate(1)\n    except Exception as e:\n        assert type(e).__name__==\"MyErr\"\n        assert e.args==(\"no\",3)\n    else:\n        raise AssertionError(\"no error\")\n",
    ),
    (
        "assertRaises",
        "f",
        "def f(x):\n    raise KeyError(x)",
        "def f(x): return None",
        "import unittest\ndef check(candidate):\n    with unittest.TestCase().assertRaises(KeyError):\n        candidate(\"a\")\n",
    ),
    (
        "an endless generator",
        "f",
        "def f():\n    n=0\n    while True:\n        yield n\n        n+=2",
        "def f():\n    n=0\n    while True:\n        yield n\n        n+=1",
        "def check(candidate):\n    import itertools\n    assert list(itertools.islice(candidate(),3))==[0,2,4]\n",
    ),
    (
        "a function that is returned",
        "f",
        "def f(n):\n    return lambda x: x+n",
        "def f(n):\n    return lambda x: x-n",
        "def check(candidate):\n    assert candidate(3)(4)==7\n    assert list(map(candidate(1),[1,2]))==[2,3]\n",
    ),
    (
        "comparison that fails for other types",
        "P",
        "class P:\n    def __init__(self,x): self.x=x\n    def __eq__(self,o): return self.x==o.x\n    def __repr__(self): return f\"P({self.x})\"\n    def __add__(self,o): return P(self.x+o.x)",
        "class P:\n    def __init__(self,x): self.x=x\n    def __repr__(self): return f\"P({self.x})\"\n    def __add__(self,o): return P(self.x-o.x)",
        "def check(candidate):\n    assert (candidate(1)+candidate(2)).x==3\n    assert repr(candidate(4))==\"P(4)\"\n    assert candidate(1)==candidate(1)\n",
    ),
    (
        "data classes",
        "Q",
        "from dataclasses import dataclass\n@dataclass\nclass Q:\n    a:int\n    b:str=\"x\"",
        "from dataclasses import dataclass\n@dataclass\nclass Q:\n    a:int\n    b:str=\"y\"",
        "def check(candidate):\n    assert candidate(1)==candidate(1,\"x\")\n    assert candidate(1).b==\"x\"\n",
    ),
    (
        "counters",
        "f",
        "from collections import Counter\ndef f(s): return Counter(s)",
        "def f(s): return list(s)",
        "def check(candidate):\n    from collections import Counter\n    assert candidate(\"aab\")==Counter(\"aab\")\n    assert candidate(\"aab\")=={\"a\":2,\"b\":1}\n",
    ),
    (
        "default dictionaries",
        "f",
        "from collections import defaultdict\ndef f():\n    d=defaultdict(list); d[1].append(2); return d",
        "def f(): return {1:[3]}",
        "def check(candidate):\n    assert candidate()=={1:[2]}\n",
    ),
    (
        "chained comparisons",
        "f",
        "def f(x): return x",
        "def f(x): return -x",
        "def check(candidate):\n    assert 0 < candidate(3) <= 3 < 4\n",
    ),
    (
        "unpacking",
        "f",
        "def f(x): return (x,x+1)",
        "def f(x): return (x,x)",
        "def check(candidate):\n    a,b=candidate(1)\n    assert b==a+1 and a==1\n    *r,=candidate(2)\n    assert r==[2,3]\n",
    ),
    (
        "random inputs",
        "f",
        "def f(x): return sorted(x)",
        "def f(x): return x",
        "def check(candidate):\n    import random\n    random.seed(1)\n    for _ in range(20):\n        a=[random.randint(0,9) for _ in range(5)]\n        assert candidate(list(a))==sorted(a)\n",
    ),
    (
        "assertions in a function of the tests",
        "f",
        "def f(s): return s.upper()",
        "def f(s): return s",
        "def assert_equal(a,b):\n    assert a==b, (a,b)\ndef check(candidate):\n    assert_equal(candidate(\"a\"),\"A\")\n",
    ),
    (
        "raising instead of asserting",
        "f",
        "def f(s): return s.upper()",
        "def f(s): return s",
        "def check(candidate):\n    if candidate(\"a\")!=\"A\": raise Exception(\"wrong\")\n    assert True\n",
    ),
    (
        "cases of unittest",
        "f",
        "def f(s): return s.upper()",
        "def f(s): return s",
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(\"a\"),\"A\")\n    def test_b(self):\n        self.assertIn(\"B\",f(\"abc\"))\n    def test_c(self):\n        self.assertAlmostEqual(1.0,1.00000001)\n",
    ),
    (
        "context managers",
        "f",
        "class f:\n    def __enter__(self): return 5\n    def __exit__(self,*a): return False",
        "class f:\n    def __enter__(self): return 6\n    def __exit__(self,*a): return False",
        "def check(candidate):\n    with candidate() as x:\n        assert x==5\n",
    ),
    (
        "iteration and indexing",
        "f",
        "class f:\n    def __init__(self,n): self.n=n\n    def __iter__(self): return iter(range(self.n))\n    def __getitem__(self,i): return i*2",
        "class f:\n    def __init__(self,n): self.n=n\n    def __iter__(self): return iter(range(self.n+1))\n    def __getitem__(self,i): return i",
        "def check(candidate):\n    c=candidate(3)\n    assert [x for x in c]==[0,1,2]\n    assert c[4]==8\n",
    ),
    (
        "properties, static and class methods",
        "f",
        "class f:\n    @property\n    def a(self): return 1\n    @staticmethod\n    def s(x): return x+1\n    @classmethod\n    def c(cls): return cls()",
        "class f:\n    @property\n    def a(self): return 2\n    @staticmethod\n    def s(x): return x\n    @classmethod\n    def c(cls): return cls()",
        "def check(candidate):\n    assert candidate().a==1\n    assert candidate.s(1)==2\n    assert candidate.c().a==1\n",
    ),
    (
        "coroutines",
        "f",
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x+1",
        "async def f(x): return x",
        "def check(candidate):\n    import asyncio\n    assert asyncio.run(candidate(1))==2\n",
    ),
    (
        "trees of its own nodes",
        "f",
        "class Node:\n    def __init__(self,v,l=None,r=None): self.v=v; self.l=l; self.r=r\ndef f(n): return 0 if n is None else n.v+f(n.l)+f(n.r)",
        "class Node:\n    def __init__(self,v,l=None,r=None): self.v=v; self.l=l; self.r=r\ndef f(n): return 0 if n is None else n.v+f(n.l)",
        "def check(candidate):\n    assert candidate(Node(1,Node(2),Node(3)))==6\n",
    ),
    (
        "trees of the tests' nodes",
        "f",
        "def f(n): return 0 if n is None else n.v+f(n.l)+f(n.r)",
        "def f(n): return n.v",
        "class Node:\n    def __init__(self,v,l=None,r=None): self.v=v; self.l=l; self.r=r\ndef check(candidate):\n    assert candidate(Node(1,Node(2),Node(3)))==6\n",
    ),
    (
        "lists of the tests' nodes that are rearranged",
        "f",
        "def f(h):\n    p=None\n    while h: h.next,p,h=p,h,h.next\n    return p",
        "def f(h): return h",
        "class N:\n    def __init__(self,v,n=None): self.val=v; self.next=n\ndef check(candidate):\n    r=candidate(N(1,N(2)))\n    assert r.val==2\n    assert r.next.val==1\n    assert r.next.next is None\n",
    ),
    (
        "an assignment within an assertion",
        "f",
        "def f(x): return x",
        "def f(x): return 0",
        "def check(candidate):\n    assert (y:=candidate(3))==3 and y>2\n",
    ),
    (
        "pattern matching",
        "f",
        "def f(x): return {\"k\":x}",
        "def f(x): return {\"k\":0}",
        "def check(candidate):\n    match candidate(3):\n        case {\"k\":3}: ok=True\n        case _: ok=False\n    assert ok\n",
    ),
    (
        "enumerations",
        "f",
        "import enum\nclass E(enum.Enum):\n    A=1\ndef f(): return E.A",
        "import enum\nclass E(enum.Enum):\n    A=2\ndef f(): return E.A",
        "def check(candidate):\n    assert candidate().value==1\n    assert candidate().name==\"A\"\n",
    ),
    (
        "stdin that the tests replace",
        "f",
        "def f(): return input()+\"!\"",
        "def f(): return \"x\"",
        "def check(candidate):\n    import sys,io\n    sys.stdin=io.StringIO(\"a\\n\")\n    assert candidate()==\"a!\"\n",
    ),
    (
        "input that the tests replace",
        "f",
        "def f(): return input()+\"!\"",
        "def f(): return \"x\"",
        "def check(candidate):\n    from unittest.mock import patch\n    with patch(\"builtins.input\",return_value=\"a\"):\n        assert candidate()==\"a!\"\n",
    ),
];

#[test]
fn every_form_tells_right_from_wrong() {
    let Some(sandbox) = walls() else { return };
    for (form, entry, right, wrong, tests) in FORMS {
        let mut options = options();
        options.entry = Some(entry.to_owned());
        // Published tests define `check` and leave the call to whoever runs them: the judge, who knows the entry.
        let judged =
            |source: &str| -> Verdict { judge_with(&sandbox, Language::Python, source, asserts(tests), &options) };
        let verdict = judged(right);
        assert!(verdict.passed(), "{form}: {verdict:?}");
        let verdict = judged(wrong);
        assert!(matches!(verdict, Verdict::Failed(_)), "{form}: {verdict:?}");
    }
}
