package probe

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
)

// A node is an element of a manifest.
type node struct {
	space, name string
	attrs       []xml.Attr
	kids        []*node
	text        string
}

const (
	maxDepth = 32
	maxNodes = 1 << 20
)

// parseXML reads a document without a document type.
func parseXML(b []byte) (*node, error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	var root *node
	var open []*node
	count := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch tok := tok.(type) {
		case xml.Directive:
			return nil, errors.New("it has a document type declaration")
		case xml.StartElement:
			n := &node{space: tok.Name.Space, name: tok.Name.Local, attrs: tok.Copy().Attr}
			if count++; count > maxNodes || len(open) == maxDepth {
				return nil, errors.New("it has too many elements")
			}
			if len(open) > 0 {
				up := open[len(open)-1]
				up.kids = append(up.kids, n)
			} else if root != nil {
				return nil, errors.New("it has two root elements")
			} else {
				root = n
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				n := open[len(open)-1]
				n.text += strings.TrimSpace(string(tok))
			}
		}
	}
	if root == nil {
		return nil, errors.New("it has no element")
	}
	return root, nil
}

// attr returns an attribute without a namespace, "" if it is not there.
func (n *node) attr(name string) string {
	v, _ := n.lookup(name)
	return v
}

func (n *node) lookup(name string) (string, bool) {
	for _, a := range n.attrs {
		if a.Name.Local == name {
			return a.Value, true
		}
	}
	return "", false
}

// number returns an attribute as a number; otherwise where it is missing or none.
func (n *node) number(name string, otherwise int64) int64 {
	if v, err := strconv.ParseInt(n.attr(name), 10, 64); err == nil {
		return v
	}
	return otherwise
}

// child returns the first element of that name, nil if there is none.
func (n *node) child(name string) *node {
	for _, k := range n.kids {
		if k.name == name {
			return k
		}
	}
	return nil
}

func (n *node) all(name string) []*node {
	var list []*node
	for _, k := range n.kids {
		if k.name == name {
			list = append(list, k)
		}
	}
	return list
}
