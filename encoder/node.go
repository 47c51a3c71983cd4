package encoder

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// A node is a part of a v2 preset that is written out, as JSON or as XML: a
// value, or an object or list of further nodes. Attributes of XML are nodes like
// elements, so that both spellings of a preset give the same tree.
type node struct {
	name string // empty in a list of JSON
	at   string // path from the root, for messages
	text string
	kids []*node
	list bool
	read bool // somebody has asked for it
}

// Bounds of a written preset.
const (
	maxText  = 1 << 20 // bytes
	maxNodes = 20_000
	maxDepth = 32
)

// parseNode reads a preset. The encoding that an XML declaration names is not
// heeded: clients send "utf-16" in text that is UTF-8.
func parseNode(text string) (*node, error) {
	if len(text) > maxText {
		return nil, ams.Errorf(ams.Invalid, "The configuration is longer than %d bytes.", maxText)
	}
	if strings.HasPrefix(text, "<") {
		return parseXML(text)
	}
	var v any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The configuration is not JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, ams.Errorf(ams.Invalid, "The configuration has something after its end.")
	}
	left := maxNodes
	root := fromJSON("", "", v, maxDepth, &left)
	if root == nil {
		return nil, ams.Errorf(ams.Invalid, "The configuration is nested too deep, or too large.")
	}
	return root, nil
}

func fromJSON(name, at string, v any, depth int, left *int) *node {
	if *left--; depth == 0 || *left < 0 {
		return nil
	}
	n := &node{name: name, at: at}
	switch v := v.(type) {
	case map[string]any:
		var keys []string
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			if v[k] == nil {
				continue
			}
			kid := fromJSON(k, strings.TrimPrefix(at+"."+k, "."), v[k], depth-1, left)
			if kid == nil {
				return nil
			}
			n.kids = append(n.kids, kid)
		}
	case []any:
		n.list = true
		for i, e := range v {
			kid := fromJSON("", fmt.Sprintf("%s[%d]", at, i), e, depth-1, left)
			if kid == nil {
				return nil
			}
			n.kids = append(n.kids, kid)
		}
	case string:
		n.text = strings.TrimSpace(v)
	case nil:
	default:
		n.text = fmt.Sprint(v)
	}
	return n
}

func parseXML(text string) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader([]byte(text)))
	d.CharsetReader = sameBytes
	var stack []*node
	var root *node
	left := maxNodes
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, ams.Errorf(ams.Invalid, "The configuration is not XML: %v", err)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			n := &node{name: tok.Name.Local, at: tok.Name.Local}
			if len(stack) > 0 {
				up := stack[len(stack)-1]
				same := 0
				for _, k := range up.kids {
					if k.name == n.name {
						same++
					}
				}
				n.at = fmt.Sprintf("%s.%s[%d]", up.at, n.name, same)
				up.kids = append(up.kids, n)
			} else if root != nil {
				return nil, ams.Errorf(ams.Invalid, "The configuration has more than one root element.")
			} else {
				root = n
			}
			for _, a := range tok.Attr {
				if a.Name.Space != "" || a.Name.Local == "xmlns" {
					continue
				}
				left--
				n.kids = append(n.kids, &node{name: a.Name.Local, at: n.at + "." + a.Name.Local, text: strings.TrimSpace(a.Value)})
			}
			stack = append(stack, n)
			if left--; left < 0 || len(stack) > maxDepth {
				return nil, ams.Errorf(ams.Invalid, "The configuration is nested too deep, or too large.")
			}
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				n := stack[len(stack)-1]
				n.text = strings.TrimSpace(n.text + string(tok))
			}
		}
	}
	if root == nil {
		return nil, ams.Errorf(ams.Invalid, "The configuration is empty XML.")
	}
	return root, nil
}

// sameBytes reads text whatever encoding it declares: it is UTF-8.
func sameBytes(_ string, r io.Reader) (io.Reader, error) { return r, nil }

// get returns the member of that name, nil if there is none. Clients disagree
// about capitals.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, k := range n.kids {
		if strings.EqualFold(k.name, name) {
			k.read = true
			return k
		}
	}
	return nil
}

// items returns the elements of a list: of a JSON array, or the elements of that
// name in XML.
func (n *node) items(element string) []*node {
	if n == nil {
		return nil
	}
	var all []*node
	for _, k := range n.kids {
		if n.list || strings.EqualFold(k.name, element) {
			k.read = true
			all = append(all, k)
		}
	}
	return all
}

// skip marks members whose values make no difference.
func (n *node) skip(names ...string) {
	for _, name := range names {
		n.get(name)
	}
}

// unread returns an error for the first member that nobody has asked for.
func (n *node) unread() error {
	if n == nil {
		return nil
	}
	for _, k := range n.kids {
		if !k.read {
			return fieldError(ams.Invalid, k.at, "this is no property of a preset")
		}
		if err := k.unread(); err != nil {
			return err
		}
	}
	return nil
}

// all marks everything below as read.
func (n *node) all() {
	for _, k := range n.kids {
		k.read = true
		k.all()
	}
}

// A reader reads members of nodes and keeps the first error.
type reader struct{ err error }

func (r *reader) fail(n *node, format string, args ...any) {
	if r.err == nil {
		r.err = fieldError(ams.Invalid, n.at, format, args...)
	}
}

func (r *reader) str(n *node, name string) string {
	if k := n.get(name); k != nil {
		return k.text
	}
	return ""
}

// int reads a number, which may be a string and may have a fraction of zero.
func (r *reader) int(n *node, name string) (v int, given bool) {
	k := n.get(name)
	if k == nil || k.text == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(k.text, 64)
	if err != nil || f != float64(int(f)) || f < -1e9 || f > 1e9 {
		r.fail(k, "'%s' is not a whole number", k.text)
		return 0, false
	}
	return int(f), true
}

func (r *reader) float(n *node, name string, def float64) float64 {
	k := n.get(name)
	if k == nil || k.text == "" {
		return def
	}
	f, err := strconv.ParseFloat(k.text, 64)
	if err != nil || !(f >= -1e9 && f <= 1e9) {
		r.fail(k, "'%s' is not a number", k.text)
		return def
	}
	return f
}

func (r *reader) bool(n *node, name string) bool {
	k := n.get(name)
	switch {
	case k == nil || k.text == "" || strings.EqualFold(k.text, "false") || k.text == "0":
		return false
	case strings.EqualFold(k.text, "true") || k.text == "1":
		return true
	}
	r.fail(k, "'%s' is neither true nor false", k.text)
	return false
}

// time reads "hh:mm:ss" or ISO 8601, or, in XML, a member with a Duration.
func (r *reader) time(n *node, name string) time.Duration {
	k := n.get(name)
	if k == nil || k.text == "" {
		return 0
	}
	d, err := parseDuration(k.text)
	if err != nil {
		r.fail(k, "%v", err)
	}
	return d
}
