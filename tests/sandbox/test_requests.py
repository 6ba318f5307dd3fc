"""`requests` of a hook, in a locked worker, call by call: what leaves, what comes back, what is refused."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest
from answering import Answering, converse, ok

from sandbox import wire

URL = "https://api.example.com"


@pytest.fixture
def call(worker: Any, hook_job: Any) -> Callable[..., tuple[Any, list[wire.Http]]]:
    """`call(code, answer=ok)` → (the `value` that the code sets, or the message of what it raised; the calls)."""

    def run(code: str, answer: Answering = ok) -> tuple[Any, list[wire.Http]]:
        body = "\n    ".join(code.splitlines())
        job = hook_job(f"import requests\ndef hook(user, context, cb):\n    {body}\n    cb(None, value)\n")
        done, calls = converse(worker, job, answer)
        assert done.spent is False
        return json.loads(done.result) if done.result else f"{done.status}: {done.message}", calls

    return run


def answering(*headers: tuple[str, str], body: bytes = b"", status: int = 200, reason: str = "OK") -> Answering:
    """The same answer to each call."""
    return lambda _: wire.Answered(status, reason, headers, body)


def moving(**pages: str) -> Answering:
    """Each path leads to another URL; those that are not named answer."""

    def answer(made: wire.Http) -> wire.Answer:
        target = pages.get(made.url.rpartition("/")[2])
        return wire.Answered(302, "Found", (("Location", target),), b"") if target else ok(made)

    return answer


# What leaves


@pytest.mark.parametrize("verb", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_a_verb_sends_its_method(call: Any, verb: str) -> None:
    value, calls = call(f"value = requests.{verb}('{URL}/a').status_code")

    assert (200, [(verb.upper(), f"{URL}/a")]) == (value, [(each.method, each.url) for each in calls])


def test_what_the_engine_sets_is_not_sent(call: Any) -> None:
    _, calls = call(f"requests.post('{URL}', data=(part for part in [b'a', 'é']))\nvalue = 1")

    assert ("a" + "é", {"User-Agent", "Accept-Encoding", "Accept"}) == (
        calls[0].body.decode(),
        {name for name, _ in calls[0].headers},
    )


@pytest.mark.parametrize(
    "header", ["Host: x", "Connection: close", "Content-Length: 5", "Transfer-Encoding: gzip", "Proxy-Authorization: x"]
)
def test_a_header_that_the_hook_sets_is_sent_for_the_engine_to_judge(call: Any, header: str) -> None:
    name, value = header.split(": ")
    _, calls = call(f"requests.get('{URL}', headers={{{name!r}: {value!r}}})\nvalue = 1")

    assert (name, value) in calls[0].headers


def test_a_fragment_is_not_sent(call: Any) -> None:
    value, calls = call(f"value = requests.get('{URL}/a?b=c#d').url")

    assert (f"{URL}/a?b=c#d", f"{URL}/a?b=c") == (value, calls[0].url)


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("bücher.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("MÜNCHEN.de", "xn--mnchen-3ya.de"),
        ("straße.de", "xn--strae-oqa.de"),
    ],
)
def test_a_host_in_any_script_is_sent_in_ascii(call: Any, host: str, sent: str) -> None:
    _, calls = call(f"requests.get('https://{host}/')\nvalue = 1")

    assert f"https://{sent}/" == calls[0].url


@pytest.mark.parametrize(
    ("timeout", "sent"),
    [
        ("None", (None, None)),
        ("5", (5_000, 5_000)),
        ("0.0001", (1, 1)),
        ("(3.05, 27)", (3_050, 27_000)),
        ("(None, 1)", (None, 1_000)),
        ("1e300", (1 << 53, 1 << 53)),
        ("10 ** 400", (None, None)),
        ("float('inf')", (None, None)),
    ],
)
def test_a_timeout_is_sent_in_milliseconds(call: Any, timeout: str, sent: tuple[int | None, int | None]) -> None:
    _, calls = call(f"requests.get('{URL}', timeout={timeout})\nvalue = 1")

    assert sent == (calls[0].connect_ms, calls[0].read_ms)


@pytest.mark.parametrize(
    "timeout", ["0", "-1", "(0, 1)", "float('nan')", "'x'", "'5'", "(1, b'5')", "True", "(1, 2, 3)", "[1]", "object()"]
)
def test_a_timeout_that_is_none_is_a_value_error(call: Any, timeout: str) -> None:
    value, calls = call(f"requests.get('{URL}', timeout={timeout})")

    assert value.startswith("raised: ValueError: ")
    assert [] == calls


def test_a_body_that_no_frame_holds_is_refused_here(call: Any) -> None:
    for data in ("'x' * (4 << 20)", "(b'x' * 65536 for _ in iter(int, 1))"):
        value, calls = call(f"requests.post('{URL}', data={data})")

        assert value.startswith("raised: EgressRefused: rule request-size: the body is over ")
        assert [] == calls


@pytest.mark.parametrize(
    "code",
    [
        "get('{}/' + 'x' * 60_000)",
        "get('{}', headers={{'A': 'x' * 200_000}})",
        "get('{}', headers={{f'A{{n}}': 'x' for n in range(900)}})",
        "request('X' * 64, '{}')",
    ],
)
def test_what_a_frame_holds_is_for_the_engine_to_judge(call: Any, code: str) -> None:
    value, calls = call(f"value = requests.{code.format(URL)}.status_code")

    assert (200, 1) == (value, len(calls))


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("get('{}/' + 'x' * 65_536)", "url"),
        ("get('{}', params={{'q': 'ä' * 11_000}})", "url"),
        ("get('{}', headers={{'A': 'x' * 300_000}})", "header"),
        ("get('{}', headers={{f'A{{n}}': '' for n in range(1000)}})", "header"),
        ("request('X' * 65, '{}')", "method"),
    ],
)
def test_what_no_frame_holds_beside_the_body_is_refused_here(call: Any, code: str, rule: str) -> None:
    value, calls = call(f"requests.{code.format(URL)}")

    assert value.startswith(f"raised: EgressRefused: rule {rule}: ")
    assert [] == calls


# What comes back

KINDS = {
    "connect_timeout": ("ConnectTimeout", True, True),
    "read_timeout": ("ReadTimeout", True, False),
    "connection": ("ConnectionError", False, True),
    "tls": ("SSLError", False, True),
    "broken": ("ChunkedEncodingError", False, False),
    "undecodable": ("ContentDecodingError", False, False),
    "refused": ("EgressRefused", False, False),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_the_exception_of_its_kind(call: Any, kind: Any) -> None:
    value, _ = call(
        f"try:\n    requests.put('{URL}/a', data='x')\nexcept requests.RequestException as error:\n"
        "    value = [type(error).__name__, isinstance(error, requests.Timeout), isinstance(error, requests.ConnectionError),"
        " error.request.method, error.request.body, error.response, str(error), error.__context__]",
        lambda _: wire.Failed(kind, "port" if kind == "refused" else "", "it did not work"),
    )
    said = "rule port: it did not work" if kind == "refused" else "it did not work"

    assert [*KINDS[kind], "PUT", "x", None, said, None] == value


def test_an_uncaught_refusal_reads_as_such(call: Any) -> None:
    value, _ = call(f"requests.get('{URL}')", lambda _: wire.Failed("refused", "port", "port 22 is not open"))

    assert "raised: EgressRefused: rule port: port 22 is not open" == value


@pytest.mark.parametrize(
    "url", ["ftp://a.example/x", "file:///etc/passwd", "http+unix://%2Fx/y", "localhost:80", "data:,x"]
)
def test_another_scheme_is_asked_for_and_refused_as_an_invalid_one(call: Any, url: str) -> None:
    value, calls = call(
        f"try:\n    requests.get({url!r})\nexcept requests.exceptions.InvalidSchema as error:\n"
        "    value = [type(error).__name__, error.rule, isinstance(error, requests.exceptions.EgressRefused)]",
        lambda _: wire.Failed("refused", "scheme", "http and https only"),
    )

    assert ([url], ["EgressRefused", "scheme", True]) == ([each.url for each in calls], value)


def test_a_refused_hop_tells_of_the_hop(call: Any) -> None:
    def answer(made: wire.Http) -> wire.Answer:
        to = (("Location", "http://169.254.169.254/x"),)
        return (
            wire.Answered(302, "", to, b"")
            if made.url == f"{URL}/a"
            else wire.Failed("refused", "metadata-address", "no")
        )

    value, calls = call(
        f"try:\n    requests.get('{URL}/a')\nexcept requests.EgressRefused as error:\n    value = [error.rule, error.request.url]",
        answer,
    )

    assert (["metadata-address", "http://169.254.169.254/x"], 2) == (value, len(calls))


CHARSETS = """
    utf-8 utf-16 utf-16le utf-16be utf-32 us-ascii iso-8859-1 windows-1252 iso-8859-2 iso-8859-5 iso-8859-7 iso-8859-8
    iso-8859-9 iso-8859-15 tis-620 windows-1250 windows-1251 windows-1253 windows-1254 windows-1255 windows-1256
    windows-1257 windows-1258 koi8-r gb2312 gbk gb18030 big5 shift_jis euc-jp iso-2022-jp euc-kr
""".split()
SAMPLES = ("plain", "é", "Ж", "ę", "Ω", "א", "ส", "ā", "ğ", "₫", "م", "漢字", "한국", "€")


@pytest.mark.parametrize("charset", CHARSETS)
def test_a_worker_without_files_decodes_the_charsets_of_the_web(call: Any, charset: str) -> None:
    texts = [text for text in SAMPLES if text.encode(charset, "ignore").decode(charset) == text]
    wanted = " ".join(texts)
    reply = answering(("Content-Type", f"text/html; charset={charset}"), body=wanted.encode(charset))
    value, _ = call(f"value = requests.get('{URL}').text", reply)

    assert wanted == value


@pytest.mark.parametrize("charset", ["klingon", "hex", "rot13", "cp037", "", "a/../b", "é"])
def test_a_charset_that_there_is_not_is_taken_for_utf_8(call: Any, charset: str) -> None:
    reply = answering(("Content-Type", f"text/html; charset={charset}"), body="é".encode())
    value, _ = call(f"value = requests.get('{URL}').text", reply)

    assert "é" == value


@pytest.mark.parametrize(
    ("body", "encoding", "text"),
    [
        (b"plain", "ascii", "plain"),
        (b"", "ascii", ""),
        ("é".encode(), "utf-8", "é"),
        ("é".encode("utf-8-sig"), "UTF-8-SIG", "é"),
        ("é".encode("utf-16"), "UTF-16", "é"),
        ("é".encode("utf-32"), "UTF-32", "é"),
        (b"\x80 5", "windows-1252", "€ 5"),
        (b"\x81\xe9", "ISO-8859-1", "\x81é"),
    ],
)
def test_an_encoding_that_is_not_told_is_found_by_rules(call: Any, body: bytes, encoding: str, text: str) -> None:
    value, _ = call(
        f"r = requests.get('{URL}')\nvalue = [r.encoding, r.apparent_encoding, r.text]", answering(body=body)
    )

    assert [None, encoding, text] == value


def test_a_redirect_to_another_host_leaves_all_credentials_behind(call: Any) -> None:
    """The library sends cookies without a domain on, wherever a response leads."""
    _, calls = call(
        "s = requests.Session()\ns.cookies.set('kept', '1')\n"
        f"s.get('{URL}/a', auth=('u', 'p'), cookies={{'given': '2'}}, headers={{'Proxy-Authorization': 'x', 'X-Key': 'k'}})\n"
        "value = 1",
        moving(a="https://evil.example/b", b="https://evil.example/c", c=f"{URL}/d"),
    )
    sent = [{name for name, _ in each.headers} - {"User-Agent", "Accept", "Accept-Encoding"} for each in calls]

    assert [
        {"Authorization", "Cookie", "Proxy-Authorization", "X-Key"},
        {"X-Key"},
        {"X-Key"},
        {"X-Key", "Cookie"},
    ] == sent
    assert "kept=1" == dict(calls[3].headers)["Cookie"]


def test_a_header_of_cookies_stays_behind_on_any_redirect(call: Any) -> None:
    _, calls = call(
        f"requests.get('{URL}/a', headers={{'Cookie': 'a=1'}})\nvalue = 1", moving(a="https://evil.example/b")
    )

    assert [True, False] == ["Cookie" in dict(each.headers) for each in calls]


def test_ten_redirects_are_followed_and_no_more(call: Any) -> None:
    value, calls = call(f"requests.get('{URL}/a')", moving(a="a"))

    assert ("raised: TooManyRedirects: Exceeded 10 redirects.", 11) == (value, len(calls))


# What is refused

REFUSED = {
    "verify=False": "verify: the engine checks every certificate",
    "verify='/ca.pem'": "verify: the engine checks every certificate",
    "proxies={'http': 'http://x'}": "proxies: calls leave through the engine alone",
    "cert='x.pem'": "cert: a hook has no files",
    "stream=True": "stream: a response is always read whole, up to a bound: leave stream out",
    "hooks={'response': print}": "hooks: a call takes no hooks",
    "auth=print": "auth is a pair (name, password) or an HTTPBasicAuth",
    "auth=['a', 'b']": "auth is a pair (name, password) or an HTTPBasicAuth",
    "auth='token'": "auth is a pair (name, password) or an HTTPBasicAuth",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_what_a_hook_may_not_choose_is_a_value_error_that_says_what_to_do(call: Any, argument: str) -> None:
    value, calls = call(f"requests.get('{URL}', {argument})")

    assert value.startswith(f"raised: ValueError: {REFUSED[argument]}")
    assert [] == calls


@pytest.mark.parametrize(
    "argument",
    ["verify=True", "verify=None", "proxies=None", "proxies={}", "cert=None", "stream=False", "hooks={}", "auth=None"],
)
def test_what_is_so_anyway_may_be_said(call: Any, argument: str) -> None:
    value, _ = call(f"value = requests.get('{URL}', {argument}).status_code")

    assert 200 == value


@pytest.mark.parametrize(
    "line",
    [
        "s.mount('https://', None)",
        "s.get_adapter('https://x')",
        "s.verify = False",
        "s.trust_env = True",
        "s.proxies = {'http': 'x'}",
        "s.proxies.update({'http': 'x'})",
        "s.cert = 'x'",
        "s.stream = True",
        "s.hooks['response'].append(print)",
    ],
)
def test_what_a_session_may_not_be_is_a_value_error(call: Any, line: str) -> None:
    value, _ = call(f"s = requests.Session()\n{line}")

    assert value.startswith("raised: ValueError: ")
    assert "leave" in value or "look at the response" in value


def test_a_session_may_be_set_to_what_it_is(call: Any) -> None:
    value, _ = call(
        "s = requests.Session()\ns.verify = True\ns.trust_env = False\ns.stream = False\ns.cert = None\ns.proxies = {}\n"
        "value = [s.verify, s.trust_env, s.stream, s.cert, s.max_redirects, s.auth, dict(s.params), sorted(s.headers)]"
    )

    assert [True, False, False, None, 10, None, {}, ["Accept", "Accept-Encoding", "Connection", "User-Agent"]] == value


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("requests.get('x', retries=1)", "TypeError: Session.request() got an unexpected keyword argument 'retries'"),
        ("requests.get()", "TypeError: Session.get() missing 1 required positional argument: 'url'"),
        ("requests.Session().request('GET', 'x', {}, params={})", "TypeError: Session.request() got multiple values"),
        ("requests.request(5, 'x')", "TypeError: the method is a text"),
        ("requests.get('http://a.example', headers=[('a', 'b')])", "TypeError: headers are a dict, not a list"),
        ("requests.get('http://a.example', headers={'a': []})", "TypeError: the value of a header is a text"),
        ("requests.post('http://a.example', data=5)", "TypeError: a body is a text, bytes, a dict"),
        (
            "requests.post('http://a.example', data=[1, 2])",
            "TypeError: data is a dict or a list of pairs, but holds a int",
        ),
        (
            "requests.post('http://a.example', data=[(1, 2, 3)])",
            "ValueError: data is a dict or a list of pairs, but holds",
        ),
        ("requests.get('http://a.example', params=5)", "TypeError: params is a dict or a list of pairs, not a int"),
        ("requests.post('http://a.example', files=5)", "TypeError: files is a dict or a list of pairs, not a int"),
        ("requests.get('http://a.example', headers={'a': True})", "InvalidHeader: Header part (True) from ('a', True)"),
        ("requests.PreparedRequest()", "TypeError: a PreparedRequest comes of a call"),
        ("requests.post('http://a.example', data={1.5})", "TypeError: a piece of a body is bytes or a text"),
        ("requests.get('http://a.example', cookies='a=1')", "TypeError: cookies are a dict of texts"),
        ("requests.get('http://a.example', headers={'a': '€'})", "UnicodeEncodeError: "),
        ("requests.Response()", "TypeError: a Response comes of a call"),
        ("requests.codes.nope", "AttributeError: there is no status called 'nope'"),
    ],
)
def test_a_wrong_call_is_told_without_our_names(call: Any, code: str, said: str) -> None:
    value, calls = call(code)

    assert value.startswith(f"raised: {said}")
    assert "sandbox" not in value
    assert [] == calls


# Of the worker


def test_a_session_of_a_hooks_own_class_is_one(call: Any) -> None:
    value, calls = call(
        "class Api(requests.Session):\n    def __init__(self, root):\n        super().__init__()\n        self.root = root\n"
        "        self.headers['X-A'] = 'b'\n    def request(self, method, path, **named):\n"
        "        return super().request(method, self.root + path, **named)\n"
        f"with Api('{URL}') as api:\n    value = [api.get('/a').status_code, isinstance(api, requests.Session)]"
    )

    assert ([200, True], f"{URL}/a", "b") == (value, calls[0].url, dict(calls[0].headers)["X-A"])


def test_a_dataclass_may_be_a_session(call: Any) -> None:
    value, calls = call(
        "from dataclasses import dataclass\n@dataclass\nclass Api(requests.Session):\n    root: str\n    _key: str = 'k'\n"
        "    def __post_init__(self):\n        self.headers['X-Key'] = self._key\n"
        "    def request(self, method, path, **named):\n        return super().request(method, self.root + path, **named)\n"
        f"api = Api('{URL}')\nvalue = [api.get('/a').status_code, repr(api)[-36:]]"
    )

    assert ([200, f"Api(root='{URL}', _key='k')"[-36:]], "k") == (value, dict(calls[0].headers)["X-Key"])


def test_a_plain_session_takes_attributes_of_the_hooks_own(call: Any) -> None:
    value, calls = call(
        "import functools\n"
        f"s = requests.Session()\ns.base_url = '{URL}'\ns.request = functools.partial(s.request, timeout=5)\n"
        "with s:\n    s.close = print\n    value = [s.get(s.base_url).status_code, s.base_url]\ndel s.base_url\n"
        "value.append(hasattr(s, 'base_url'))"
    )

    assert ([200, URL, False], 5_000) == (value, calls[0].read_ms)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("auth.AuthBase", "send credentials in headers, as headers={"),
        ("auth.HTTPDigestAuth", "compute its header with hashlib"),
        ("adapters.HTTPAdapter", "calls leave through the engine alone"),
        ("models.Response", "requests.Response is the class of responses"),
        ("utils.quote", "urllib.parse quotes"),
        ("cookies.RequestsCookieJar", "a session keeps cookies"),
        ("sessions.Session", "use requests.Session"),
        ("Request", "call the verb"),
        ("structures.LookupDict", "use requests.codes"),
    ],
)
def test_what_is_left_out_says_why_when_it_is_read(call: Any, name: str, reason: str) -> None:
    value, _ = call(f"requests.{name}")
    first, _, rest = name.partition(".")
    module, missing = (f"requests.{first}", rest) if first in ("auth", "structures") else ("requests", first)

    assert value.startswith(f"raised: AttributeError: a hook's {module} does not offer {missing!r}: {reason}")
    assert "Did you mean" not in value


def test_a_mistyped_name_is_still_told_the_nearest(call: Any) -> None:
    value, _ = call("requests.gett")

    assert "raised: AttributeError: a hook's requests does not offer 'gett'. Did you mean 'get'?" == value


def test_a_request_may_be_annotated(call: Any) -> None:
    value, _ = call(
        "def told(sent: requests.PreparedRequest) -> str:\n    return sent.method\n"
        f"sent = requests.get('{URL}').request\nvalue = [told(sent), type(sent) is requests.PreparedRequest]"
    )

    assert ["GET", True] == value


@pytest.mark.parametrize(
    ("result", "hint"),
    [
        ("r.headers", "a CaseInsensitiveDict, which JSON does not have; convert it with dict(…)"),
        ("r", "a Response, which JSON does not have; hand over its .json() or .text"),
        ("r.cookies", "a RequestsCookieJar, which JSON does not have; convert it with .get_dict()"),
    ],
)
def test_what_is_no_json_says_what_to_hand_over(call: Any, result: str, hint: str) -> None:
    value, _ = call(f"r = requests.get('{URL}')\nvalue = {result}")

    assert value == f"bad_result: the response is no JSON: result is {hint}"


def test_lines_of_an_unknown_charset_are_taken_for_utf_8(call: Any) -> None:
    reply = answering(("Content-Type", "text/html; charset=klingon"), body="é\nü".encode())
    value, _ = call(
        f"r = requests.get('{URL}')\nvalue = [list(r.iter_lines(decode_unicode=True)), list(r.iter_content(2, True))]",
        reply,
    )

    assert [["é", "ü"], ["é\n", "ü"]] == value


def test_responses_and_sessions_are_told_as_the_librarys(call: Any) -> None:
    value, _ = call(
        f"s = requests.Session()\nr = s.get('{URL}')\n"
        "value = [repr(r), type(r) is requests.Response, isinstance(r, requests.Response), type(s).__name__, repr(s.cookies),"
        " type(r.headers).__name__, type(r.request).__name__, type(r.cookies).__name__, type(r.elapsed).__name__]"
    )

    assert [
        *("<Response [200]>", True, True, "Session", "<RequestsCookieJar[]>"),
        *("CaseInsensitiveDict", "PreparedRequest", "RequestsCookieJar", "timedelta"),
    ] == value


def test_cookies_do_what_a_hook_may_do_with_them(call: Any) -> None:
    value, _ = call(
        "s = requests.Session()\nc = s.cookies\nc.set('a', '1', domain='a.example', path='/x')\nc['b'] = '2'\n"
        "c.update({'d': 4})\nother = requests.Session()\nother.cookies.update(c)\ndel c['b']\nc.set('d', None)\n"
        "s.cookies = {'e': '5'}\n"
        "value = [c.items(), c.values(), len(c), 'a' in c, 'b' in c, c.get('a', domain='b.example'), c.get_dict(path='/x'),"
        " sorted(other.cookies.items()), [(e.name, e.domain, e.path) for e in c], s.cookies.get_dict()]\n"
        "c.clear()\nvalue.append(len(c))"
    )

    assert [
        *([["a", "1"]], ["1"], 1, True, False, None, {"a": "1"}, [["a", "1"], ["b", "2"], ["d", "4"]]),
        *([["a", "a.example", "/x"]], {"e": "5"}, 0),
    ] == value


def test_nothing_of_a_job_is_left_in_the_worker(worker: Any, hook_job: Any) -> None:
    used = hook_job(
        "import requests\nfrom requests import codes\ndef hook(user, context, cb):\n"
        "    s = requests.Session()\n    s.headers['X-Left'] = 'x'\n    s.cookies.set('left', 'x')\n"
        "    try:\n        s.get('https://a.example/a', params={'a': 'b'}).raise_for_status()\n"
        "    except requests.HTTPError as error:\n        cb(None, [error.response.text, codes.ok])\n"
    )
    reply = answering(("Set-Cookie", "a=1"), body=b"no", status=500)
    first, _ = converse(worker, used, reply)
    plain = "import requests\ndef hook(user, context, cb):\n    cb(None, requests.Session().get('https://a.example').status_code)\n"
    second, calls = converse(worker, hook_job(plain), ok)

    assert ("ok", False, "ok", False) == (first.status, first.spent, second.status, second.spent)
    assert {"User-Agent", "Accept", "Accept-Encoding"} == {name for name, _ in calls[0].headers}


def test_the_soft_stop_ends_a_job_that_waits_for_its_answer(worker: Any, hook_job: Any) -> None:
    worker.send(hook_job(f"import requests\ndef hook(user, context, cb):\n    requests.get('{URL}')\n"))
    assert isinstance(worker.receive(), wire.Http)
    worker.signal(signal.SIGUSR1)
    done = worker.receive()

    assert ("timeout", "the hook did not finish in time: it was at line 3", 3) == (done.status, done.message, done.line)
    assert worker.ended()


def test_a_job_whose_call_was_cut_short_makes_no_other_and_is_the_workers_last(worker: Any, hook_job: Any) -> None:
    """What was owed would be read in the place of the next answer, or of the next job."""
    source = (
        "import requests\ndef hook(user, context, cb):\n    said = []\n    for _ in 'ab':\n        try:\n"
        f"            requests.get('{URL}')\n        except Exception as error:\n            said.append(type(error).__name__)\n"
        "    cb(None, said)\n"
    )
    worker.send(hook_job(source))
    assert isinstance(worker.receive(), wire.Http)
    worker.send(wire.Check("no answer", ()))
    done = worker.receive()

    assert (b'["ProtocolError","RuntimeError"]', True) == (done.result, done.spent)


def test_no_depth_of_recursion_mixes_answers_up(worker: Any, hook_job: Any) -> None:
    source = (
        "import requests\ndef dive(left):\n    return dive(left - 1) if left else get()\n"
        f"def get():\n    calls.append(0)\n    return requests.get('{URL}/' + str(len(calls))).text == '/' + str(len(calls))\n"
        "calls = []\ndef hook(user, context, cb):\n    seen = []\n    for depth in range(700, 1000):\n"
        "        try:\n            seen.append(dive(depth))\n        except RecursionError:\n            seen.append(None)\n"
        "        except RuntimeError:\n            break\n"
        "    cb(None, [True in seen, None in seen, False in seen])\n"
    )
    done, _ = converse(
        worker, hook_job(source), lambda made: wire.Answered(200, "OK", (), made.url.removeprefix(URL).encode())
    )

    assert b"[true,true,false]" == done.result


def test_a_call_within_a_body_is_a_call_before_it(call: Any) -> None:
    value, calls = call(
        f"def parts():\n    yield requests.get('{URL}/inner').content\n    yield b'.'\n"
        f"value = requests.post('{URL}/outer', data=parts()).status_code",
        answering(body=b"in"),
    )

    assert (200, [f"{URL}/inner", f"{URL}/outer"], b"in.") == (value, [each.url for each in calls], calls[1].body)


@pytest.mark.parametrize(
    "line",
    [
        "from requests.exceptions import Timeout, EgressRefused",
        "import requests.exceptions",
        "from requests.auth import HTTPBasicAuth",
        "from requests.structures import CaseInsensitiveDict",
        "from requests import get, Session, codes",
        "requests = require('requests')",
    ],
)
def test_every_form_of_import_finds_it(run_here: Callable[..., tuple], line: str) -> None:
    done, _ = run_here(f"{line}\ndef hook(user, context, cb):\n    cb(None, 1)\n")

    assert ("ok", b"1") == (done.status, done.result)
