package odata

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// parseXML reads an Atom entry, or the <uri> of a link, as the verbose JSON
// that would say the same. Namespaces count, prefixes do not: the PHP SDK
// declares its own on every element.
func parseXML(b []byte) (*object, error) {
	p := &xmlParser{d: xml.NewDecoder(bytes.NewReader(b))}
	p.d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		// Declarations of utf-16 in texts that are UTF-8 are common.
		switch strings.ToLower(charset) {
		case "utf-16", "us-ascii", "ascii", "iso-8859-1":
			return in, nil
		}
		return nil, fmt.Errorf("the charset '%s' is not supported", clip(charset))
	}
	o, err := p.document()
	if err != nil {
		return nil, BadRequest("Error processing request stream. The body is not Atom: %v.", err)
	}
	return o, nil
}

type xmlParser struct {
	d      *xml.Decoder
	depth  int
	values int
}

// next returns the next start or end tag, and the text before it.
func (p *xmlParser) next() (xml.Token, string, error) {
	var text strings.Builder
	for {
		t, err := p.d.Token()
		if err == io.EOF {
			err = errors.New("it ends too early")
		}
		if err != nil {
			return nil, "", err
		}
		switch t := t.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.Directive:
			return nil, "", errors.New("a document type is not allowed")
		case xml.StartElement:
			if p.depth++; p.depth > maxDepth {
				return nil, "", fmt.Errorf("nested more than %d deep", maxDepth)
			}
			if p.values++; p.values > maxValues {
				return nil, "", fmt.Errorf("more than %d elements", maxValues)
			}
			return t.Copy(), text.String(), nil
		case xml.EndElement:
			p.depth--
			return t, text.String(), nil
		}
	}
}

// children calls f with each child of the current element.
func (p *xmlParser) children(f func(xml.StartElement) error) error {
	for {
		t, _, err := p.next()
		if err != nil {
			return err
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			return nil
		}
		if err := f(start); err != nil {
			return err
		}
	}
}

func (p *xmlParser) skip() error {
	return p.children(func(xml.StartElement) error { return p.skip() })
}

func (p *xmlParser) document() (*object, error) {
	t, _, err := p.next()
	if err != nil {
		return nil, err
	}
	root, ok := t.(xml.StartElement)
	if !ok {
		return nil, errors.New("an entry is expected")
	}
	var o *object
	switch root.Name.Local {
	case "entry":
		o, err = p.entry()
	case "uri":
		var uri string
		if uri, err = p.text(); err == nil {
			o = &object{members: []member{{"uri", uri}}}
		}
	default:
		return nil, fmt.Errorf("'%s' is not expected", clip(root.Name.Local))
	}
	if err != nil {
		return nil, err
	}
	for {
		t, err := p.d.Token()
		if err == io.EOF {
			return o, nil
		}
		if err != nil {
			return nil, err
		}
		switch t.(type) {
		case xml.StartElement, xml.Directive:
			return nil, errors.New("there is more after the end")
		}
	}
}

// entry reads what is in an <entry>.
func (p *xmlParser) entry() (*object, error) {
	o := &object{}
	var navigation []string
	related := map[string][]any{}
	err := p.children(func(e xml.StartElement) error {
		switch {
		case e.Name.Space == nsMeta && e.Name.Local == "properties":
			return p.properties(o)
		case e.Name.Local == "content":
			return p.children(func(e xml.StartElement) error {
				if e.Name.Space == nsMeta && e.Name.Local == "properties" {
					return p.properties(o)
				}
				return p.skip()
			})
		case e.Name.Local == "link":
			name, ok := strings.CutPrefix(attribute(e, "rel"), nsRelated)
			if !ok {
				return p.skip()
			}
			if _, seen := related[name]; !seen {
				navigation = append(navigation, name)
			}
			items, err := p.link(attribute(e, "href"))
			related[name] = append(related[name], items...)
			return err
		}
		return p.skip()
	})
	for _, name := range navigation {
		if _, twice := o.get(name); twice {
			return nil, fmt.Errorf("the name '%s' comes twice", clip(name))
		}
		var v any = related[name]
		if len(related[name]) == 1 {
			v = related[name][0]
		}
		o.members = append(o.members, member{name, v})
	}
	return o, err
}

// link reads what is in a <link>: entries inline, else it is its reference.
func (p *xmlParser) link(href string) ([]any, error) {
	var items []any
	inline := false
	entry := func(e xml.StartElement) error {
		if e.Name.Local != "entry" {
			return p.skip()
		}
		o, err := p.entry()
		items = append(items, o)
		return err
	}
	err := p.children(func(e xml.StartElement) error {
		if e.Name.Space != nsMeta || e.Name.Local != "inline" {
			return p.skip()
		}
		inline = true
		return p.children(func(e xml.StartElement) error {
			if e.Name.Local == "feed" {
				return p.children(entry)
			}
			return entry(e)
		})
	})
	if !inline {
		meta := &object{members: []member{{"uri", href}}}
		items = append(items, &object{members: []member{{"__metadata", meta}}})
	}
	return items, err
}

// properties reads elements as members of o.
func (p *xmlParser) properties(o *object) error {
	seen := map[string]bool{}
	for _, m := range o.members {
		seen[m.name] = true
	}
	return p.children(func(e xml.StartElement) error {
		if seen[e.Name.Local] {
			return fmt.Errorf("the name '%s' comes twice", clip(e.Name.Local))
		}
		seen[e.Name.Local] = true
		v, err := p.value(e)
		o.members = append(o.members, member{e.Name.Local, v})
		return err
	})
}

// value reads a property: null, a text, a collection or a complex value.
func (p *xmlParser) value(e xml.StartElement) (any, error) {
	null := attribute(e, "null") == "true" || attribute(e, "null") == "1"
	collection := strings.HasPrefix(attribute(e, "type"), "Collection(")
	var items []any
	o := &object{}
	for {
		t, text, err := p.next()
		if err != nil {
			return nil, err
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			switch {
			case null:
				return nil, nil
			case collection || items != nil:
				if items == nil {
					items = []any{}
				}
				return items, nil
			case len(o.members) > 0 || strings.HasPrefix(attribute(e, "type"), "Microsoft."):
				return o, nil
			}
			return text, nil
		}
		v, err := p.value(start)
		if err != nil {
			return nil, err
		}
		if start.Name.Local == "element" {
			items = append(items, v)
			continue
		}
		if _, twice := o.get(start.Name.Local); twice {
			return nil, fmt.Errorf("the name '%s' comes twice", clip(start.Name.Local))
		}
		o.members = append(o.members, member{start.Name.Local, v})
	}
}

// text reads an element that has text alone.
func (p *xmlParser) text() (string, error) {
	t, text, err := p.next()
	if err != nil {
		return "", err
	}
	if _, ok := t.(xml.StartElement); ok {
		return "", errors.New("text is expected")
	}
	return text, nil
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && (a.Name.Space == "" || a.Name.Space == nsMeta) {
			return a.Value
		}
	}
	return ""
}
