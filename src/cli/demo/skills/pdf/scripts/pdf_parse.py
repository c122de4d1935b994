"""A small reader of PDF objects: enough for information and text, without decryption."""
import re
import zlib

WHITE, DELIMITERS = b"\0\t\n\f\r ", b"()<>[]{}/%"


class Ref(int):
    """The number of an indirect object."""


class Name(str):
    """A name such as /Type."""


class Stream:
    def __init__(self, info, raw):
        self.info, self.raw = info, raw


class Lexer:
    """Reads objects and operators from bytes."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def skip(self):
        data = self.data
        while self.at < len(data):
            if data[self.at] in WHITE:
                self.at += 1
            elif data[self.at : self.at + 1] == b"%":
                end = re.compile(rb"[\r\n]").search(data, self.at)
                self.at = end.end() if end else len(data)
            else:
                return

    def token(self):
        """The next object; an operator comes as bytes; None at the end."""
        self.skip()
        data, at = self.data, self.at
        if at >= len(data):
            return None
        two, one = data[at : at + 2], data[at : at + 1]
        if two == b"<<":
            self.at += 2
            return self.dictionary()
        if one == b"(":
            return self.string()
        if one == b"<":
            end = data.index(b">", at)
            self.at = end + 1
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", data[at + 1 : end])
            return Text(bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode()))
        if one == b"[":
            self.at += 1
            return self.array()
        if one in (b"]", b">", b"{", b"}", b")"):
            self.at += 2 if two == b">>" else 1
            return two if two == b">>" else one
        end = at + 1
        while end < len(data) and data[end] not in WHITE and data[end] not in DELIMITERS:
            end += 1
        self.at, word = end, data[at:end]
        if one == b"/":
            return Name(re.sub(rb"#([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), word[1:]).decode("latin-1"))
        if re.fullmatch(rb"[+-]?\d+", word):
            reference = re.compile(rb"[\0\t\n\f\r ]+\d+[\0\t\n\f\r ]+R(?![\w])").match(data, end)
            if reference:
                self.at = reference.end()
                return Ref(word)
            return int(word)
        if re.fullmatch(rb"[+-]?(\d+\.\d*|\.\d+)", word):
            return float(word)
        return {b"true": True, b"false": False, b"null": ""}.get(word, word)

    def array(self):
        out = []
        while (item := self.token()) not in (b"]", None):
            out.append(item)
        return out

    def dictionary(self):
        out = {}
        while (key := self.token()) not in (b">>", None):
            value = self.token()
            if value == b">>":
                break
            out[str(key)] = value
        return out

    def string(self):
        out, depth, at, data = bytearray(), 1, self.at + 1, self.data
        plain = {b"n": 10, b"r": 13, b"t": 9, b"b": 8, b"f": 12}
        while at < len(data) and depth:
            byte = data[at : at + 1]
            if byte == b"\\":
                octal = re.compile(rb"[0-7]{1,3}").match(data, at + 1)
                if octal:
                    out.append(int(octal[0], 8) & 255)
                    at = octal.end()
                    continue
                following = data[at + 1 : at + 2]
                if following not in (b"\n", b"\r"):
                    out.append(plain.get(following, following[0] if following else 92))
                at += 2
                continue
            depth += (byte == b"(") - (byte == b")")
            if depth:
                out += byte
            at += 1
        self.at = at
        return Text(bytes(out))


class Text(bytes):
    """A string object, to tell it from an operator."""


def unfilter(info, raw):
    """The content of a stream; None for a filter that is not text (images)."""
    names = info.get("Filter", [])
    for name in names if isinstance(names, list) else [names]:
        if name == "FlateDecode":
            raw = zlib.decompressobj().decompress(raw)
        elif name == "ASCIIHexDecode":
            raw = bytes.fromhex(re.sub(rb"[^0-9A-Fa-f]", b"", raw.split(b">")[0]).decode())
        else:
            return None
    parameters = info.get("DecodeParms")
    parameters = parameters[0] if isinstance(parameters, list) and parameters else parameters
    if isinstance(parameters, dict) and parameters.get("Predictor", 1) >= 10:
        return unpredict(raw, parameters.get("Columns", 1))
    return raw


def unpredict(raw, columns):
    """Undoes the PNG predictors None, Sub, Up, Average and Paeth for one byte per column."""
    out, before = bytearray(), bytearray(columns)
    for start in range(0, len(raw) - columns, columns + 1):
        kind, row = raw[start], bytearray(raw[start + 1 : start + 1 + columns])
        for at in range(len(row)):
            left, up = row[at - 1] if at else 0, before[at]
            corner = before[at - 1] if at else 0
            guess = left + up - corner
            paeth = min((left, up, corner), key=lambda v: abs(guess - v))
            row[at] = (row[at] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        out += row
        before = row
    return bytes(out)


class Pdf:
    """Finds objects by scanning the file, so that a broken cross-reference table does not matter."""

    def __init__(self, path):
        with open(path, "rb") as opened:
            self.data = opened.read()
        if b"%PDF-" not in self.data[:1024]:
            raise ValueError("not a PDF file")
        self.version = re.search(rb"%PDF-(\d\.\d)", self.data[:1024])[1].decode()
        self.objects, self.trailer = {}, {}
        for found in re.finditer(rb"(?<!\d)(\d+)[\0\t\n\f\r ]+\d+[\0\t\n\f\r ]+obj\b", self.data):
            self.objects[int(found[1])] = self.read(found.end())
        for found in re.finditer(rb"\btrailer\b", self.data):
            item = Lexer(self.data, found.end()).token()
            if isinstance(item, dict):
                self.trailer.update(item)
        for item in list(self.objects.values()):
            if isinstance(item, Stream) and item.info.get("Type") == "XRef":
                self.trailer.update(item.info)
        self.encrypted = "Encrypt" in self.trailer
        if not self.encrypted:
            self.unpack_object_streams()

    def read(self, at):
        lexer = Lexer(self.data, at)
        item = lexer.token()
        if isinstance(item, dict):
            lexer.skip()
            if self.data[lexer.at : lexer.at + 6] == b"stream":
                start = lexer.at + 6
                start += 2 if self.data[start : start + 2] == b"\r\n" else 1
                length = item.get("Length")
                end = start + length if type(length) is int else -1
                if end < 0 or b"endstream" not in self.data[end : end + 12]:
                    end = self.data.find(b"endstream", start)
                return Stream(item, self.data[start:end])
        return item

    def unpack_object_streams(self):
        for item in list(self.objects.values()):
            if not (isinstance(item, Stream) and item.info.get("Type") == "ObjStm"):
                continue
            body = unfilter(item.info, item.raw)
            if body is None:
                continue
            first, lexer = self.get(item.info["First"]), Lexer(body)
            pairs = [(lexer.token(), lexer.token()) for _ in range(self.get(item.info["N"]))]
            for number, offset in pairs:
                self.objects.setdefault(number, Lexer(body, first + offset).token())

    def get(self, item):
        """Follows references."""
        for _ in range(32):
            if not isinstance(item, Ref):
                break
            item = self.objects.get(int(item))
        return item

    def pages(self):
        root = self.get(self.trailer.get("Root")) or {}
        seen = set()

        def walk(reference, inherited):
            node = self.get(reference)
            if not isinstance(node, dict) or id(node) in seen:
                return
            seen.add(id(node))
            inherited = {**inherited, **{k: node[k] for k in ("Resources", "MediaBox") if k in node}}
            if "Kids" in node:
                for kid in self.get(node["Kids"]) or []:
                    yield from walk(kid, inherited)
            else:
                yield {**inherited, **node}

        yield from walk(root.get("Pages"), {})

    def content(self, page):
        parts = self.get(page.get("Contents")) or []
        streams = [self.get(p) for p in (parts if isinstance(parts, list) else [parts])]
        bodies = [unfilter(s.info, s.raw) for s in streams if isinstance(s, Stream)]
        return b"\n".join(b for b in bodies if b)


def decode_text(value):
    """A text string of a dictionary as Unicode."""
    if not isinstance(value, bytes):
        return "" if value is None else str(value)
    if value[:2] == b"\xfe\xff":
        return value[2:].decode("utf-16-be", "replace")
    return value.decode("latin-1")
