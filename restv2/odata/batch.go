package odata

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxAnswer bounds the answer to a $batch: operations beyond it are refused.
const maxAnswer = 64 << 20

func (s *Server) batch(c *call) (*response, error) {
	steps, err := parseBatch(c.header.Get("Content-Type"), c.body)
	if err != nil {
		return nil, err
	}
	id := strings.ToLower(rand.Text())
	boundary := "batchresponse_" + id
	resp := newResponse(http.StatusAccepted)
	resp.header.Set("DataServiceVersion", "1.0;")
	// The boundary is the last parameter: the PHP SDK takes all after it.
	resp.set("multipart/mixed; boundary="+boundary, nil)
	resp.parts = func(yield func([]byte) bool) {
		size := 0
		for i, st := range steps {
			var out bytes.Buffer
			fmt.Fprintf(&out, "--%s\r\n", boundary)
			switch {
			case size > maxAnswer:
				writePart(&out, s.failure(c, Errorf(http.StatusRequestEntityTooLarge, "The answer to the batch is too large.")), "")
			case st.changeset:
				s.changeset(&out, c, st.operations, fmt.Sprintf("changesetresponse_%s%d", id, i))
			default:
				op := st.operations[0]
				writePart(&out, s.single(c, op), op.header.Get("Content-Id"))
			}
			if size += out.Len(); !yield(out.Bytes()) {
				return
			}
		}
		yield(fmt.Appendf(nil, "--%s--\r\n", boundary))
	}
	return resp, nil
}

// single answers an operation outside of changesets.
func (s *Server) single(outer *call, op *operation) *response {
	c, err := s.operationCall(outer, op)
	if err != nil {
		return s.failure(c, err)
	}
	return s.answer(c)
}

// writePart writes an answer as an application/http part.
func writePart(out *bytes.Buffer, resp *response, contentID string) {
	fmt.Fprintf(out, "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 %d %s\r\n",
		resp.status, http.StatusText(resp.status))
	if contentID != "" {
		fmt.Fprintf(out, "Content-ID: %s\r\n", printable(contentID))
	}
	fmt.Fprint(out, "X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n")
	for _, name := range slices.Sorted(maps.Keys(resp.header)) {
		shown := name
		if name == "Dataserviceversion" {
			shown = "DataServiceVersion"
		}
		for _, v := range resp.header[name] {
			fmt.Fprintf(out, "%s: %s\r\n", shown, printable(v))
		}
	}
	if resp.status != http.StatusNoContent {
		fmt.Fprintf(out, "Content-Length: %s\r\n", strconv.Itoa(len(resp.body)))
	}
	out.WriteString("\r\n")
	out.Write(resp.body)
	out.WriteString("\r\n")
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// A planned operation of a changeset.
type planned struct {
	c       *call
	id      string // Content-ID
	target  *target
	made    *made // that it makes; nil: it changes something else
	part    *made // that it is merged into; nil: none
	nav     *Navigation
	index   int // of the part among those of nav; -1: a link
	answer  *response
	refused error
}

// changeset runs operations so that all or none happen, and writes their
// answers, or that to the one which failed.
func (s *Server) changeset(out *bytes.Buffer, outer *call, ops []*operation, boundary string) {
	plan, failed, err := s.plan(outer, ops)
	if err == nil {
		run := func(ctx context.Context) error {
			for _, p := range plan {
				p.c.ctx = ctx
				if p.refused = s.execute(p); p.refused != nil {
					failed = p
					return p.refused
				}
			}
			return nil
		}
		apart := 0
		for _, p := range plan {
			if p.part == nil {
				apart++
			}
		}
		switch {
		case apart <= 1:
			err = run(outer.ctx)
		case s.c.Transaction == nil:
			failed, err = plan[0], NotServed("A changeset of more than one entity and its parts")
		default:
			err = s.c.Transaction(outer.ctx, run)
		}
	}
	if err != nil {
		c, id := outer, ""
		if failed != nil {
			c, id = failed.c, failed.id
		}
		// In the batch itself: there is no answer of the changeset then.
		writePart(out, s.failure(c, err), id)
		return
	}
	fmt.Fprintf(out, "Content-Type: multipart/mixed; boundary=%s\r\n\r\n", boundary)
	for _, p := range plan {
		fmt.Fprintf(out, "--%s\r\n", boundary)
		writePart(out, p.answer, p.id)
	}
	fmt.Fprintf(out, "--%s--\r\n", boundary)
}

// plan reads the operations of a changeset. What is posted to the Deep or
// Bind navigation of an entity that the changeset makes becomes part of the
// insert of that entity, so that a job and its tasks are one.
func (s *Server) plan(outer *call, ops []*operation) (plan []*planned, failed *planned, err error) {
	known := map[string]*made{}
	size := 0
	for _, op := range ops {
		c, err := s.operationCall(outer, op)
		p := &planned{c: c, id: op.header.Get("Content-Id"), index: -1}
		c.made = maps.Clone(known) // of those before it
		if err == nil {
			err = s.planOne(p)
		}
		if err == nil && p.made != nil {
			// Everybody else waits for the transaction.
			if size += p.made.insert.entities(); size > maxParts {
				err = BadRequest("The changeset makes more than %d entities.", maxParts)
			}
		}
		if err != nil {
			return nil, p, err
		}
		plan = append(plan, p)
		if p.id != "" && p.made != nil {
			known["$"+p.id] = p.made
		}
	}
	return plan, nil, nil
}

func (s *Server) planOne(p *planned) error {
	c := p.c
	var err error
	if c.format, err = accepted(c.header); err != nil {
		return err
	}
	if err := checkVersions(c); err != nil {
		return err
	}
	if c.method == http.MethodGet {
		return BadRequest("A changeset cannot have a GET.")
	}
	segments, err := parsePath(c.path)
	if err != nil {
		return err
	}
	if len(segments) == 0 || strings.HasPrefix(segments[0].name, "$") && c.made[segments[0].name] == nil {
		return BadRequest("The URL '/%s' of the changeset cannot be followed.", clip(c.path))
	}
	if c.method != http.MethodPost {
		return nil // resolved when it is its turn
	}
	first := c.made[segments[0].name]
	if first == nil && len(segments) > 1 {
		return nil
	}
	if first == nil && s.all.function("", segments[0].name) != nil {
		return nil
	}
	t, err := s.resolve(c, segments)
	if err != nil {
		return err
	}
	if t.links {
		return s.planLink(p, t)
	}
	if !t.many || t.count || t.function != nil || first != nil && len(segments) != 2 {
		return BadRequest("The URL '/%s' of the changeset cannot be followed.", clip(c.path))
	}
	in, err := s.readInsert(c, t)
	if err != nil {
		return err
	}
	p.target = t
	p.made = &made{set: t.set, insert: in}
	if first != nil && t.nav.Deep {
		p.part, p.nav, p.index = first, t.nav, len(first.insert.Inline[t.nav.Name])
		if p.index >= maxParts {
			return BadRequest("The request brings more than %d entities.", maxParts)
		}
		in.Parent, in.Navigation = nil, ""
		first.insert.Inline[t.nav.Name] = append(first.insert.Inline[t.nav.Name], in)
	}
	return nil
}

// planLink makes a link of an entity that the changeset makes part of its
// insert. If it leads to another such entity it waits for its turn.
func (s *Server) planLink(p *planned, t *target) error {
	m := t.parent.made
	if m == nil || !t.nav.Bind {
		return nil
	}
	uri, err := s.reference(p.c)
	if err != nil {
		return err
	}
	ref, err := s.linkTarget(p.c, t.nav, uri)
	if err != nil {
		return err
	}
	parts := len(m.insert.Bind[t.nav.Name])
	if err := addRef(m.insert, t.nav, ref, &parts); err != nil {
		return err
	}
	p.part, p.nav = m, t.nav
	return nil
}

// execute runs a planned operation, and leaves its answer.
func (s *Server) execute(p *planned) error {
	c := p.c
	var err error
	switch {
	case p.part != nil && p.index < 0:
		p.answer = s.done(c, nil)
	case p.part != nil:
		parts, _ := p.part.entity[p.nav.Name].([]Entity)
		if p.index >= len(parts) {
			return errors.New("a handler returned less entities than its insert had")
		}
		p.made.entity = parts[p.index]
		p.answer, err = s.created(c, p.made.set, &Result{Entity: p.made.entity})
	case p.made != nil:
		if in := p.made.insert; p.target.parent != nil && p.target.parent.made != nil {
			if err := fillParent(in, p.target); err != nil {
				return err
			}
		}
		var result *Result
		if p.answer, result, err = s.create(c, p.made.insert); err == nil {
			p.made.entity = result.Entity
		}
	default:
		p.answer, err = s.serve(c)
	}
	if err == nil && p.made != nil {
		p.made.key, err = s.keyOf(p.made.set, p.made.entity)
	}
	return err
}

// fillParent completes an insert below an entity that was made just now.
func fillParent(in *Insert, t *target) error {
	key := t.parent.made.key
	in.Parent = &Ref{t.parent.set.Name, key}
	if t.nav.Via != "" && t.nav.Many {
		in.Values[t.nav.Via] = key
	}
	return nil
}
