"""what a browser makes of a document differs, when links are tracked, in these values alone"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from pillarbox.message.features import Wishes, changes_of
from pillarbox.message.markup import spliced
from pillarbox.message.parts import read_parts
from pillarbox.message.tokens import TokenKind
from pillarbox.message.untouched import Rules

HOST = "https://clicks.test/"
TARGETS = (
    "https://example.com/", "http://example.com/a?b=c&amp;d=e#f", "mailto:ann@example.com", "#x", "",
    "https://example.com/?a=1&copy=2", "HTTP://EXAMPLE.com", " https://example.com/x ", "cid:a",
    "https://example.com/&quot;x", "https://\u00e9xample.com/\u20ac", "{{link}}", "//example.com/",
)  # fmt: skip
TAGS = (
    "p",
    "div",
    "b",
    "table",
    "tr",
    "td",
    "ul",
    "li",
    "center",
    "font",
    "span",
    "h1",
    "form",
    "svg",
)
TEXT = st.sampled_from(
    ["text", "&amp;", "&nbsp;", "<", ">", "a < b", "\u20ac", "<!-- c -->", "<!-- <a href=x> -->", "\r\n",
     "<!--[if mso]><i>x</i><![endif]-->", "<br>", "<hr/>", "<![CDATA[x]]>", "<?php x ?>", "&", "</p>",
     "<script>'<a href=\"https://example.com\">'</script>", "<style>a{}</style>", "</b></td>", "<title>x",
     "</title>", "<textarea><img src=x>", "</textarea>", "<a name=n>", "</a>", "<p", "=\"'"]
)  # fmt: skip
QUOTES = st.sampled_from(['"', "'", ""])


@st.composite
def spots(draw: st.DrawFn) -> str:
    """A link or an image."""
    target, quote = draw(st.sampled_from(TARGETS)), draw(QUOTES)
    if not quote and (not target or set(target) & set(" '\"=<>`")):
        quote = '"'
    more = draw(
        st.sampled_from(["", " class=x", " title='>'", ' alt="a b"', " data-x", " href=again"])
    )
    if draw(st.booleans()):
        return f"<img{more.replace('href', 'src')} src={quote}{target}{quote}>".replace(
            "> src", " src"
        )
    before = draw(st.sampled_from(["A", "a"]))
    return f"<{before} href={quote}{target}{quote}{more}>{draw(TEXT)}</a>"


def within(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.lists(inner, max_size=5).map("".join)
    return (
        st.builds(lambda tag, body: f"<{tag}>{body}</{tag}>", st.sampled_from(TAGS), joined)
        | joined
    )


DOCUMENTS = st.recursive(TEXT | spots(), within, max_leaves=25)


def address(kind: TokenKind, position: int, target: str, tail: str) -> str:
    return f"{HOST}{kind.name}{position}{tail}"


def nodes(document: str) -> list[tuple[str, dict[str, str | None], str]]:
    """Every element and text of the tree in order: name, attributes, text."""
    root = LexborHTMLParser(document).root
    assert root is not None
    found: list[tuple[str, dict[str, str | None], str]] = []

    def walk(node: LexborNode) -> None:
        text = node.text_content or "" if not node.is_element_node else ""
        found.append((node.tag or "", dict(node.attributes) if node.is_element_node else {}, text))
        child = node.child
        while child is not None:
            walk(child)
            child = child.next

    walk(root)
    return found


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_tracking_changes_the_values_of_links_and_images_alone(document: str) -> None:
    content = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + document.encode()
    wishes = Wishes(track_clicks=True, track_opens=True, rules=Rules("clicks.test"))
    changes = changes_of(content, read_parts(content), wishes, address)
    edits = [edit for edit in changes.edits if b"PIXEL" not in edit[2]]
    made = spliced(content, edits)[content.index(b"\r\n\r\n") + 4 :].decode()
    before, after = nodes(document), nodes(made)
    assert len(before) == len(after)
    for (name, attributes, text), (other_name, other, other_text) in zip(
        before, after, strict=True
    ):
        assert (name, text, attributes.keys()) == (other_name, other_text, other.keys())
        for key, value in attributes.items():
            if other[key] != value:
                assert key in ("href", "src")
                assert (other[key] or "").startswith(HOST)


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_inlining_adds_style_attributes_alone(document: str) -> None:
    styled = "<style>p,b,td,a{color:red}</style>" + document
    content = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + styled.encode()
    wishes = Wishes(inline_css=True)
    changes = changes_of(content, read_parts(content), wishes, address)
    made = spliced(content, changes.edits)[content.index(b"\r\n\r\n") + 4 :].decode()
    before, after = nodes(styled), nodes(made)
    assert len(before) == len(after)
    for (name, attributes, text), (other_name, other, other_text) in zip(
        before, after, strict=True
    ):
        added = {key: value for key, value in other.items() if key != "style"}
        assert (name, text, attributes) == (other_name, other_text, added)
