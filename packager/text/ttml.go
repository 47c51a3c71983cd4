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

	// Of body, div, p and span, once resolve was called.
	begin, end time.Duration // when it shows
	apart      bool          // it has times of its own
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

// A clockwork is how a document counts frames and ticks (TTML 6.2).
type clockwork struct {
	nominal   float64 // frames in a second of a time code
	frames    float64 // frames in a real second
	subFrames float64 // parts of a frame
	ticks     float64 // in a second
	smpte     bool    // time codes count frames, not time
	drop      string  // dropMode: "dropNTSC", "dropPAL" or another
}

func (n *node) clockwork() clockwork {
	number := func(s string) float64 {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f > 0) || f > 1e9 {
			return 0
		}
		return f
	}
	c := clockwork{
		nominal: number(n.attr("frameRate")), subFrames: max(1, number(n.attr("subFrameRate"))), ticks: number(n.attr("tickRate")),
		smpte: n.attr("timeBase") == "smpte", drop: n.attr("dropMode"),
	}
	hasFrames := c.nominal > 0
	if !hasFrames {
		c.nominal = 30
	}
	c.frames = c.nominal
	if m := strings.Fields(strings.ReplaceAll(n.attr("frameRateMultiplier"), ":", " ")); len(m) == 2 {
		if a, b := number(m[0]), number(m[1]); a > 0 && b > 0 {
			c.frames *= a / b
		}
	}
	if c.ticks == 0 {
		if c.ticks = 1; hasFrames {
			c.ticks = c.frames * c.subFrames
		}
	}
	return c
}

// time reads a time expression (TTML 10.3.1).
func (c clockwork) time(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a time such as 00:01:02.500 or 62.5s", s)
	var seconds float64
	if strings.Contains(s, ":") {
		parts := strings.Split(s, ":")
		if len(parts) < 3 || len(parts) > 4 {
			return 0, bad
		}
		var n [4]float64
		for i, p := range parts {
			whole, sub, _ := strings.Cut(p, ".")
			if i < 3 || sub == "" {
				whole, sub = p, "0"
			}
			v, err1 := strconv.ParseFloat(whole, 64)
			w, err2 := strconv.ParseFloat(sub, 64)
			if err1 != nil || err2 != nil || v > 1e6 || w > 1e6 || strings.Trim(p, "0123456789.") != "" {
				return 0, bad
			}
			n[i] = v + w/c.subFrames
		}
		seconds = c.seconds(n[0], n[1], n[2], n[3])
	} else {
		unit := strings.TrimLeft(s, "0123456789.")
		n, err := strconv.ParseFloat(strings.TrimSuffix(s, unit), 64)
		scale, ok := map[string]float64{"h": 3600, "m": 60, "s": 1, "ms": 0.001, "f": 1 / c.frames, "t": 1 / c.ticks}[unit]
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

// seconds is the time of a clock or a time code. Drop-frame codes leave out the
// first two numbers of each minute but every tenth, or four of every second minute
// but every twentieth (TTML 6.2.3).
func (c clockwork) seconds(h, m, s, frame float64) float64 {
	whole := h*3600 + m*60 + s
	if !c.smpte {
		return whole + frame/c.frames
	}
	minutes := h*60 + math.Floor(m)
	dropped := 0.0
	switch c.drop {
	case "dropNTSC":
		dropped = 2 * (minutes - math.Floor(minutes/10))
	case "dropPAL":
		dropped = 4 * (math.Floor(minutes/2) - math.Floor(minutes/20))
	}
	return (whole*c.nominal + frame - dropped) / c.frames
}

// content reports whether n is an element that times are for.
func (n *node) content() bool { return n.is("body", "div", "p", "span") }

func (n *node) timed() bool {
	return n.attr("begin") != "" || n.attr("end") != "" || n.attr("dur") != ""
}

// sequential reports whether the children of n show one after another.
func (n *node) sequential() bool { return n.attr("timeContainer") == "seq" }

// resolve notes when n and what is in it show, if its times count from base and
// what it stands in ends at limit. It returns when all is said that n says,
// where nothing else ends it (the implicit duration of TTML 10.4).
func (n *node) resolve(c clockwork, base, limit time.Duration) (said time.Duration, err error) {
	at := func(name string, base, otherwise time.Duration) time.Duration {
		s := strings.TrimSpace(n.attr(name))
		if s == "" || err != nil {
			return otherwise
		}
		var t time.Duration
		t, err = c.time(s)
		return min(base+t, forever)
	}
	n.begin = at("begin", base, base)
	n.end = min(at("end", base, limit), limit)
	n.end = min(at("dur", n.begin, n.end), n.end)
	n.apart = n.timed()
	if err != nil {
		return 0, err
	}
	said = n.begin
	next := n.begin
	for _, k := range n.kids {
		if !k.content() {
			// Characters show as long as what they stand in, in a sequence never.
			if !n.sequential() && n.is("p", "span") && (k.is("br") || strings.TrimSpace(k.text) != "") {
				said = n.end
			}
			continue
		}
		done, err := k.resolve(c, next, n.end)
		if err != nil {
			return 0, err
		}
		if n.sequential() {
			k.apart, k.end = true, min(k.end, max(k.begin, done))
			next = max(k.begin, k.end)
		}
		said = max(said, done)
	}
	if n.attr("end") != "" || n.attr("dur") != "" {
		return n.end, nil
	}
	return min(said, n.end), nil
}

// collect makes the cues that WebVTT has instead of the document, and so finds
// times that cannot be read.
func (d *Doc) collect() error {
	if _, err := d.root.resolve(d.root.clockwork(), 0, forever); err != nil {
		return err
	}
	var walk func(n *node) error
	walk = func(n *node) error {
		for _, k := range n.kids {
			if k.content() {
				if err := walk(k); err != nil {
					return err
				}
			}
		}
		if n.end > n.begin && (n.is("p") || n.is("span") && n.apart) {
			if s := n.vtt(); s != "" {
				return d.add(cue{start: n.begin, end: n.end, text: s})
			}
		}
		return nil
	}
	return walk(d.root)
}

// vtt returns what n says in the syntax of WebVTT, without the parts that show
// at times of their own.
func (n *node) vtt() string {
	var b strings.Builder
	var walk func(n *node)
	walk = func(n *node) {
		for _, k := range n.kids {
			switch {
			case n.sequential():
			case k.name == "":
				b.WriteString(vttEscape.Replace(collapse(k.text)))
			case k.is("br"):
				b.WriteByte('\n')
			case k.is("span") && !k.apart:
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
	w.element(d.root, 0)
	return w.Bytes()
}

type ttmlWriter struct {
	bytes.Buffer
	from, to, zero time.Duration
}

func (w *ttmlWriter) escape(s string) { _ = xml.EscapeText(w, []byte(s)) } // a bytes.Buffer never fails

// element writes n; what it stands in has the time base of the document written.
// Containers lose their times, paragraphs and spans have them whole.
func (w *ttmlWriter) element(n *node, base time.Duration) {
	if n.name == "" {
		w.escape(n.text)
		return
	}
	explicit := false
	if n.content() {
		if n.begin >= w.to || n.end <= w.from || n.end <= n.begin {
			return
		}
		explicit = n.apart && n.is("p", "span") || n.is("p") && (n.begin > 0 || n.end < forever)
	}
	w.WriteString("<" + n.name)
	for _, a := range n.attrs {
		switch local(a.Name.Local) {
		case "begin", "end", "dur", "timeContainer":
			if n.content() {
				continue
			}
		case "timeBase", "dropMode", "markerMode":
			if n.is("tt") && a.Value != "media" {
				continue // the times written are those of the media
			}
		}
		w.WriteString(" " + a.Name.Local + `="`)
		w.escape(a.Value)
		w.WriteString(`"`)
	}
	if explicit {
		from, to := max(n.begin, w.from)-w.zero, min(n.end, w.to)-w.zero
		fmt.Fprintf(w, ` begin="%s" end="%s"`, clock(from-base), clock(to-base))
		base = from
	}
	if len(n.kids) == 0 {
		w.WriteString("/>")
		return
	}
	w.WriteString(">")
	for _, k := range n.kids {
		if n.content() && n.sequential() && (k.name == "" || k.is("br")) {
			continue // see resolve
		}
		w.element(k, base)
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
