package text

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	ttmlNamespace = "http://www.w3.org/ns/ttml"

	maxNodes = 200_000
	maxDepth = 32

	// forever is the end of what has none. It is a time that can be written.
	forever = 999 * time.Hour
)

// A node is an element of a TTML document, or a run of characters in one.
// Prefixes stay as they are, so that what is written has the namespaces of what
// was read.
type node struct {
	name  string // with prefix; "" for characters
	text  string
	attrs []xml.Attr // names whole, with prefix, in Name.Local
	kids  []*node
}

// local is the name without prefix.
func local(name string) string {
	_, after, ok := strings.Cut(name, ":")
	if ok {
		return after
	}
	return name
}

func (n *node) is(names ...string) bool { return slices.Contains(names, local(n.name)) }

// attr returns the attribute of that name, with any prefix or none.
func (n *node) attr(name string) string {
	for _, a := range n.attrs {
		if local(a.Name.Local) == name {
			return a.Value
		}
	}
	return ""
}

func (n *node) kid(name string) *node {
	for _, k := range n.kids {
		if k.is(name) {
			return k
		}
	}
	return nil
}

// parseTTML reads a document.
func parseTTML(b []byte) (*Doc, error) {
	nodes := maxNodes
	root, err := readTree(b, &nodes)
	if err != nil {
		return nil, err
	}
	d := &Doc{Codec: "stpp", Language: root.attr("lang"), root: root}
	return d, d.collect()
}

// readTree reads an XML document whose root is tt. left counts the nodes that
// may still be made.
func readTree(b []byte, left *int) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil } // Parse has made it UTF-8
	top := new(node)
	open := []*node{top}
	for {
		token, err := d.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		in := open[len(open)-1]
		switch token := token.(type) {
		case xml.Directive:
			return nil, errors.New("the document has a document type declaration, which is not allowed")
		case xml.StartElement:
			n := &node{name: whole(token.Name)}
			for _, a := range token.Attr {
				n.attrs = append(n.attrs, xml.Attr{Name: xml.Name{Local: whole(a.Name)}, Value: a.Value})
			}
			if *left -= 1 + len(n.attrs); *left < 0 {
				return nil, fmt.Errorf("the document has more than %d elements and attributes", maxNodes)
			}
			if len(open) > maxDepth {
				return nil, fmt.Errorf("elements are nested more than %d deep", maxDepth)
			}
			if len(open) == 1 && (!n.is("tt") || len(top.kids) > 0) {
				return nil, fmt.Errorf("the root element is <%s>, not one <tt>", n.name)
			}
			in.kids = append(in.kids, n)
			open = append(open, n)
		case xml.EndElement:
			if len(open) == 1 || in.name != whole(token.Name) {
				return nil, fmt.Errorf("</%s> closes no open element", whole(token.Name))
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) == 1 {
				continue
			}
			if *left--; *left < 0 {
				return nil, fmt.Errorf("the document has more than %d elements and attributes", maxNodes)
			}
			in.kids = append(in.kids, &node{text: string(token)})
		}
	}
	if len(open) > 1 {
		return nil, fmt.Errorf("<%s> is not closed", open[len(open)-1].name)
	}
	if len(top.kids) == 0 {
		return nil, errors.New("the document is empty")
	}
	return top.kids[0], nil
}

func whole(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

// rates are how a document counts frames and ticks.
type rates struct{ frames, ticks float64 }

func (n *node) rates() rates {
	number := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f > 0) || f > 1e9 {
			return 0
		}
		return f
	}
	r := rates{frames: number(n.attr("frameRate")), ticks: number(n.attr("tickRate"))}
	hasFrames := r.frames > 0
	if !hasFrames {
		r.frames = 30
	}
	if m := strings.Fields(strings.ReplaceAll(n.attr("frameRateMultiplier"), ":", " ")); len(m) == 2 {
		if a, b := number(m[0]), number(m[1]); a > 0 && b > 0 {
			r.frames *= a / b
		}
	}
	if r.ticks == 0 {
		if r.ticks = 1; hasFrames {
			r.ticks = r.frames
		}
	}
	return r
}

// time reads a time expression (TTML 10.3.1).
func (r rates) time(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a time such as 00:01:02.500 or 62.5s", s)
	var seconds float64
	if strings.Contains(s, ":") {
		parts := strings.Split(s, ":")
		if len(parts) < 3 || len(parts) > 4 {
			return 0, bad
		}
		for i, p := range parts {
			n, err := strconv.ParseFloat(p, 64)
			if err != nil || n < 0 || n > 1e6 || strings.ContainsAny(p, "eExXpP+-_iInN") {
				return 0, bad
			}
			if i < 3 {
				seconds = seconds*60 + n
			} else {
				seconds += n / r.frames
			}
		}
	} else {
		unit := strings.TrimLeft(s, "0123456789.")
		n, err := strconv.ParseFloat(strings.TrimSuffix(s, unit), 64)
		scale, ok := map[string]float64{"h": 3600, "m": 60, "s": 1, "ms": 0.001, "f": 1 / r.frames, "t": 1 / r.ticks}[unit]
		if err != nil || !ok {
			return 0, bad
		}
		seconds = n * scale
	}
	if seconds > forever.Seconds() {
		return forever, nil
	}
	return time.Duration(math.Round(seconds * float64(time.Second))), nil
}

// span returns when n shows, if what it stands in shows from begin to end.
func (n *node) span(r rates, begin, end time.Duration) (time.Duration, time.Duration, error) {
	if n.attr("timeContainer") == "seq" {
		return 0, 0, errors.New(`timeContainer="seq" is not supported`)
	}
	at := func(name string, base, otherwise time.Duration) (time.Duration, error) {
		s := strings.TrimSpace(n.attr(name))
		if s == "" {
			return otherwise, nil
		}
		t, err := r.time(s)
		return base + t, err
	}
	from, err := at("begin", begin, begin)
	if err != nil {
		return 0, 0, err
	}
	to, err := at("end", begin, end)
	if err != nil {
		return 0, 0, err
	}
	till, err := at("dur", from, end)
	return from, min(to, till, end), err
}

func (n *node) timed() bool {
	return n.attr("begin") != "" || n.attr("end") != "" || n.attr("dur") != ""
}

// collect makes the cues that WebVTT has instead of the document, and so finds
// times that cannot be read.
func (d *Doc) collect() error {
	r := d.root.rates()
	var walk func(n *node, begin, end time.Duration) error
	add := func(n *node, begin, end time.Duration) error {
		if s := n.vtt(); s != "" && end > begin {
			return d.add(cue{start: begin, end: end, text: s})
		}
		return nil
	}
	walk = func(n *node, begin, end time.Duration) error {
		begin, end, err := n.span(r, begin, end)
		if err != nil {
			return err
		}
		for _, k := range n.kids {
			if k.is("body", "div", "p") || k.is("span") && (k.timed() || n.is("span")) {
				if err := walk(k, begin, end); err != nil {
					return err
				}
			}
		}
		if n.is("p") || n.is("span") && n.timed() {
			return add(n, begin, end)
		}
		return nil
	}
	return walk(d.root, 0, forever)
}

// vtt returns what n says in the syntax of WebVTT, without the parts that show
// at times of their own.
func (n *node) vtt() string {
	var b strings.Builder
	var walk func(n *node)
	walk = func(n *node) {
		for _, k := range n.kids {
			switch {
			case k.name == "":
				b.WriteString(vttEscape.Replace(collapse(k.text)))
			case k.is("br"):
				b.WriteByte('\n')
			case k.is("span") && !k.timed():
				var tags []string
				if k.attr("fontStyle") == "italic" {
					tags = append(tags, "i")
				}
				if k.attr("fontWeight") == "bold" {
					tags = append(tags, "b")
				}
				if k.attr("textDecoration") == "underline" {
					tags = append(tags, "u")
				}
				for _, t := range tags {
					b.WriteString("<" + t + ">")
				}
				walk(k)
				for _, t := range slices.Backward(tags) {
					b.WriteString("</" + t + ">")
				}
			}
		}
	}
	walk(n)
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return noBlankLines(strings.Join(lines, "\n"))
}

var vttEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// collapse makes one blank of each run of white space, as xml:space="default"
// does.
func collapse(s string) string {
	t := strings.Join(strings.Fields(s), " ")
	if t == "" {
		if s != "" {
			return " "
		}
		return ""
	}
	if strings.ContainsRune(" \t\r\n", rune(s[0])) {
		t = " " + t
	}
	if strings.ContainsRune(" \t\r\n", rune(s[len(s)-1])) {
		t += " "
	}
	return t
}

// TTML returns a document of what shows in [from, to), cut at the edges. Its
// times count from zero: 0 in DASH, from in Smooth Streaming, whose clients add
// the time of the sample.
func (d *Doc) TTML(from, to, zero time.Duration) []byte {
	w := ttmlWriter{from: from, to: to, zero: zero}
	w.WriteString(xml.Header)
	if d.root == nil {
		w.ofCues(d)
		return w.Bytes()
	}
	w.rates = d.root.rates()
	w.element(d.root, 0, forever, 0)
	return w.Bytes()
}

type ttmlWriter struct {
	bytes.Buffer
	rates
	from, to, zero time.Duration
}

func (w *ttmlWriter) escape(s string) { _ = xml.EscapeText(w, []byte(s)) } // a bytes.Buffer never fails

// element writes n, which stands in what shows from begin to end; what it stands
// in has the time base of the document written. Containers lose their times,
// paragraphs and spans have them whole.
func (w *ttmlWriter) element(n *node, begin, end, base time.Duration) {
	if n.name == "" {
		w.escape(n.text)
		return
	}
	content := n.is("body", "div", "p", "span")
	explicit := false
	if content {
		var err error
		if begin, end, err = n.span(w.rates, begin, end); err != nil {
			return // collect has seen that there is none
		}
		if begin >= w.to || end <= w.from {
			return
		}
		explicit = n.timed() && n.is("p", "span") || n.is("p") && (begin > 0 || end < forever)
	}
	w.WriteString("<" + n.name)
	for _, a := range n.attrs {
		switch a.Name.Local {
		case "begin", "end", "dur":
			if content {
				continue
			}
		}
		w.WriteString(" " + a.Name.Local + `="`)
		w.escape(a.Value)
		w.WriteString(`"`)
	}
	if explicit {
		from, to := max(begin, w.from)-w.zero, min(end, w.to)-w.zero
		fmt.Fprintf(w, ` begin="%s" end="%s"`, clock(from-base), clock(to-base))
		base = from
	}
	if len(n.kids) == 0 {
		w.WriteString("/>")
		return
	}
	w.WriteString(">")
	for _, k := range n.kids {
		w.element(k, begin, end, base)
	}
	w.WriteString("</" + n.name + ">")
}

// ofCues writes a document of the cues of a WebVTT file: at the bottom in the
// middle, white on black, as browsers show it.
func (w *ttmlWriter) ofCues(d *Doc) {
	w.WriteString(`<tt xmlns="` + ttmlNamespace + `" xmlns:tts="` + ttmlNamespace + `#styling" xml:lang="`)
	w.escape(d.Language)
	w.WriteString(`"><head><styling><style xml:id="s" tts:color="white" tts:backgroundColor="#000000c0" tts:fontFamily="proportionalSansSerif" tts:fontSize="100%" tts:textAlign="center"/></styling>` +
		`<layout><region xml:id="r" tts:origin="10% 10%" tts:extent="80% 80%" tts:displayAlign="after"/></layout></head><body style="s" region="r"><div>`)
	for _, c := range d.within(w.from, w.to) {
		fmt.Fprintf(w, `<p begin="%s" end="%s">`, clock(max(c.start, w.from)-w.zero), clock(min(c.end, w.to)-w.zero))
		var open []string
		markup(c.text, func(text, tag string) {
			switch {
			case text != "":
				w.escape(text)
			case tag == "br":
				w.WriteString("<br/>")
			case ttmlStyles[tag] != "" && len(open) < maxDepth:
				open = append(open, tag)
				w.WriteString("<span " + ttmlStyles[tag] + ">")
			case len(open) > 0 && tag == "/"+open[len(open)-1]:
				open = open[:len(open)-1]
				w.WriteString("</span>")
			}
		})
		for range open {
			w.WriteString("</span>")
		}
		w.WriteString("</p>")
	}
	w.WriteString("</div></body></tt>")
}

var ttmlStyles = map[string]string{"i": `tts:fontStyle="italic"`, "b": `tts:fontWeight="bold"`, "u": `tts:textDecoration="underline"`}

func emptyTTML() *node {
	nodes := maxNodes
	root, err := readTree([]byte(`<tt xmlns="`+ttmlNamespace+`"><body><div/></body></tt>`), &nodes)
	if err != nil {
		panic(err) // a constant
	}
	return root
}

// addSTPP adds the document of a sample: the first one whole, of those after it
// what their bodies hold.
func (d *Doc) addSTPP(data []byte, left *int) error {
	root, err := readTree(data, left)
	if err != nil {
		return err
	}
	if d.root == nil {
		d.root = root
		if d.Language == "" {
			d.Language = root.attr("lang")
		}
		return nil
	}
	body := root.kid("body")
	if body == nil {
		return nil
	}
	if to := d.root.kid("body"); to != nil {
		to.kids = append(to.kids, body.kids...)
		return nil
	}
	d.root.kids = append(d.root.kids, body)
	return nil
}
