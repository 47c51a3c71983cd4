package static

import (
	"context"
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
)

// A Task is what a task definition asks for. Run writes files of a set into dir,
// which must exist, and returns their names in the order in which they are to be
// stored: a server manifest is the last. progress is given the part of the work
// done, which never falls. The error is ctx's or has an *ams.JobError in its
// chain.
type Task interface {
	Run(ctx context.Context, s *Set, dir string, progress func(part float64)) ([]string, error)
}

// The ids of task definitions, in lower case (read in clients of AMS).
const (
	toSmooth  = "5e1e1a1c-bba6-11df-8991-0019d1916af0"
	toHLS     = "a72d7a5d-3022-45f2-89b4-1ddc5457c111"
	validate  = "859515bf-9ba3-4bdd-a3b6-400cef07f870"
	playReady = "9a3bfeac-f8ae-41ca-87fa-d639e4d1c753"
)

// definition is a task definition as written. Clients differ in namespaces and
// in the order of elements.
type definition struct {
	XMLName    xml.Name `xml:"taskDefinition"`
	Name       string   `xml:"name"`
	ID         string   `xml:"id"`
	Properties []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"properties>property"`
}

// ParsePackaging reads a task definition of the packager. The error is Invalid or
// Unsupported and names what is wrong.
func ParsePackaging(text string) (Task, error) {
	p, err := parse(ams.MediaPackager, text)
	if err != nil {
		return nil, err
	}
	var t Task
	switch p.id {
	case toSmooth:
		t = &Smooth{KeepNames: p.bool("keepSourceNames", false)}
	case toHLS:
		t = p.hls()
	case validate:
		t = &Validation{Smooth: p.bool("SmoothRequired", true), HLS: p.bool("HLSRequired", true)}
	case playReady:
		return nil, ams.Errorf(ams.Unsupported, "The configuration is of the task '%s', which the processor %s does.", p.name, ams.MediaEncryptor)
	default:
		return nil, ams.Errorf(ams.Unsupported, "The configuration has the id '%s', which is no task of the processor %s.", p.id, ams.MediaPackager)
	}
	return t, p.end()
}

// ParseEncryption reads a task definition of the encryptor.
func ParseEncryption(text string) (Task, error) {
	p, err := parse(ams.MediaEncryptor, text)
	if err != nil {
		return nil, err
	}
	if p.id != playReady {
		return nil, ams.Errorf(ams.Unsupported, "The configuration has the id '%s', which is no task of the processor %s.", p.id, ams.MediaEncryptor)
	}
	t := p.playReady()
	return t, p.end()
}

// maxProperties bounds a task definition; AMS's have 13 at most.
const maxProperties = 100

// properties are those of a task definition, and the first error in one.
type properties struct {
	id, name string
	values   map[string]string // by name in lower case
	read     map[string]bool
	err      error
}

func parse(processor, text string) (*properties, error) {
	var d definition
	dec := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(text), "\ufeff")))
	// Clients declare UTF-16 in text that is UTF-8.
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := dec.Decode(&d); err != nil {
		return nil, ams.Errorf(ams.Invalid, "The configuration is no taskDefinition of the processor %s: %v", processor, err)
	}
	if len(d.Properties) > maxProperties {
		return nil, ams.Errorf(ams.Invalid, "The configuration has more than %d properties.", maxProperties)
	}
	p := &properties{id: strings.ToLower(strings.TrimSpace(d.ID)), name: strings.TrimSpace(d.Name), values: map[string]string{}, read: map[string]bool{}}
	for _, v := range d.Properties {
		p.values[strings.ToLower(v.Name)] = strings.TrimSpace(v.Value)
	}
	return p, nil
}

func (p *properties) fail(name, format string, args ...any) {
	if p.err == nil {
		p.err = ams.Errorf(ams.Invalid, "The property '"+name+"' of the configuration "+format, args...)
	}
}

// end returns the first error. A property that nobody asked for is one too: it
// would be silently without effect.
func (p *properties) end() error {
	for name := range p.values {
		if !p.read[name] {
			p.fail(name, "is none of the task '%s'.", p.name)
		}
	}
	return p.err
}

func (p *properties) text(name string) string {
	name = strings.ToLower(name)
	p.read[name] = true
	return p.values[name]
}

func (p *properties) bool(name string, def bool) bool {
	s := p.text(name)
	if s == "" {
		return def
	}
	b, err := strconv.ParseBool(strings.ToLower(s))
	if err != nil {
		p.fail(name, "is '%s', neither true nor false.", s)
	}
	return b
}

// number reads a whole number from 1 to most; 0 if it is not given.
func (p *properties) number(name string, most int64) int64 {
	s := p.text(name)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 || n > most {
		p.fail(name, "is '%s', not a whole number from 1 to %d.", s, most)
	}
	return n
}

// file reads the name of a file, which must end in ext.
func (p *properties) file(name, ext string) string {
	s := p.text(name)
	if s == "" {
		return ""
	}
	if err := ams.ValidateFileName(s); err != nil {
		p.fail(name, "is '%s': %v", s, err)
	}
	if !strings.HasSuffix(strings.ToLower(s), ext) {
		p.fail(name, "is '%s', no name of a %s file.", s, ext)
	}
	return s
}

func (p *properties) seconds(name string, def, most int64) time.Duration {
	n := p.number(name, most)
	if n == 0 {
		n = def
	}
	return time.Duration(n) * time.Second
}
