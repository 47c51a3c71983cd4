package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Config says how to probe. Its zero value reads all of a clear stream.
type Config struct {
	Client   *http.Client      // nil: one that gives up on a request after 30 s
	Header   http.Header       // sent with each request
	Token    string            // bearer token, sent to key and licence servers alone
	Keys     map[string][]byte // content keys of 16 bytes by key id, in lower case hex without hyphens
	License  string            // URL of a W3C ClearKey licence server; "": the one that the manifest names
	Segments int               // how many of each rendition are read; 0: all
	MaxBytes int64             // how many bytes are read in all; 0: 64 GiB

	// Save is given the clear bytes of each stream in order, init segments
	// too. Streams arrive at the same time, the parts of one do not. nil:
	// nothing is saved.
	Save func(stream string, part []byte) error
}

// A Report is what Probe found.
type Report struct {
	URL      string
	Format   string // "HLS", "DASH" or "Smooth Streaming"
	Live     bool   // more segments may follow: what is listed now was read
	Streams  []*Stream
	Problems []Problem
	Dropped  int   // problems beyond those that are listed
	Requests int64 // made
	Bytes    int64 // of bodies read
}

// A Stream is what was read of one rendition.
type Stream struct {
	Name     string
	Kind     string // "video", "audio", "video+audio", "text", "I-frames"
	Codecs   string // as the manifest says
	Segments int    // read
	Bytes    int64
	Start    float64 // presentation time of the first sample, seconds
	End      float64 // and of the end of the last one
	Claimed  int64   // bit/s that the manifest says; 0: nothing
	Peak     int64   // bit/s measured, as the format counts them
	Average  int64
	Scheme   string // of encryption: "AES-128", "cenc", "cbcs"; "": clear
}

// A Problem is one thing that is wrong.
type Problem struct {
	Warning bool   // a player may cope
	Stream  string // "" for the manifest itself
	URL     string // of what was read; "" where Stream says it all
	Text    string // with the rule where there is one
}

// String returns the problem on one line.
func (p Problem) String() string {
	kind := "error"
	if p.Warning {
		kind = "warning"
	}
	s := kind + ": "
	if p.Stream != "" {
		s += p.Stream + ": "
	}
	s += p.Text
	if p.URL != "" {
		s += " (" + p.URL + ")"
	}
	return s
}

// Faults counts the problems that are no warnings.
func (r *Report) Faults() int {
	n := 0
	for _, p := range r.Problems {
		if !p.Warning {
			n++
		}
	}
	return n
}

const (
	maxProblems = 500
	maxAlike    = 5 // problems of one stream with one rule
	parallel    = 4 // streams at the same time
	maxStreams  = 512
	maxSegments = 1 << 17 // of all streams together
)

// Probe plays the manifest at link. The error is that of a manifest which could
// not be fetched or is none; all else is in the Report.
func Probe(ctx context.Context, link string, c Config) (*Report, error) {
	base, err := url.Parse(link)
	if err != nil {
		return nil, err
	}
	if base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%q is no http or https URL", link)
	}
	p := &prober{c: c, report: &Report{URL: link}, alike: map[string]int{}, keys: map[string]*fetched{}}
	p.client = c.Client
	if p.client == nil {
		p.client = &http.Client{Timeout: requestTime}
	}
	if p.c.MaxBytes <= 0 {
		p.c.MaxBytes = 64 << 30
	}
	doc, base, err := p.manifest(ctx, base)
	if err != nil {
		return nil, err
	}
	var streams []*stream
	switch trimmed := bytes.TrimLeft(doc, "\ufeff \t\r\n"); {
	case bytes.HasPrefix(trimmed, []byte("#EXTM3U")):
		p.report.Format = "HLS"
		streams = p.hls(ctx, base, doc)
	case bytes.HasPrefix(trimmed, []byte("<")):
		root, err := parseXML(doc)
		if err != nil {
			return nil, fmt.Errorf("the manifest is not well-formed XML: %w", err)
		}
		switch root.name {
		case "MPD":
			p.report.Format = "DASH"
			streams = p.dash(base, root)
		case "SmoothStreamingMedia":
			p.report.Format = "Smooth Streaming"
			streams = p.smooth(base, root)
		default:
			return nil, fmt.Errorf("the root element <%s> is that of no manifest", root.name)
		}
	default:
		return nil, errors.New("what the URL leads to is neither a playlist nor an XML manifest")
	}
	if len(streams) > maxStreams {
		p.fault(nil, "", "more than %d renditions", maxStreams)
		streams = streams[:maxStreams]
	}
	slots := make(chan struct{}, parallel)
	var all sync.WaitGroup
	for _, s := range streams {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			p.play(ctx, s)
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.compare(streams)
	r := p.report
	for _, s := range streams {
		r.Streams = append(r.Streams, &s.Stream)
	}
	r.Requests, r.Bytes = p.requests.Load(), p.bytes.Load()
	slices.SortStableFunc(r.Problems, func(a, b Problem) int { return cmp.Compare(a.Stream, b.Stream) })
	return r, nil
}

// A stream is a rendition as the manifest tells of it, and then what was read.
type stream struct {
	Stream
	container string // "mp4", "ts", "vtt", "text" (a whole file)
	set       string // streams of one set are encodings of one thing: their segments match
	smooth    *quality
	average   int64   // bit/s claimed as average; 0: nothing
	target    float64 // HLS: target duration, seconds
	buffer    float64 // DASH: minBufferTime, seconds
	offset    float64 // DASH: presentationTimeOffset, seconds
	width     int
	height    int
	iframes   bool
	exact     bool // the times of segments are told, not only their lengths
	segments  []segment
	groups    []string // HLS: names of the streams that play along

	init   *initSegment // the one that counts now
	marks  []mark
	failed bool
}

// A resource is a URL or a part of what it leads to.
type resource struct {
	url    string
	off, n int64 // n is 0: all
}

// A segment as the manifest tells of it.
type segment struct {
	resource
	init          *resource
	key           *key
	start, length float64 // seconds; start counts from the start of the presentation
	time          uint64  // Smooth: in ticks of the manifest
	discontinuity bool
}

// A mark is when a segment was found to play, in seconds.
type mark struct {
	start, end    float64
	length, bytes float64 // length as the manifest says
}

type prober struct {
	c      Config
	client *http.Client

	listed          int // segments of all streams
	requests, bytes counter
	mu              sync.Mutex
	report          *Report
	alike           map[string]int
	keysMu          sync.Mutex
	keys            map[string]*fetched
}

// room counts a segment that a manifest lists. While manifests are read nothing
// else runs.
func (p *prober) room() bool {
	if p.listed++; p.listed == maxSegments {
		p.fault(nil, "", "more than %d segments are listed: the others are left out", maxSegments)
	}
	return p.listed < maxSegments
}

func (p *prober) fault(s *stream, url, format string, args ...any) {
	p.add(false, s, url, format, args...)
}

func (p *prober) warn(s *stream, url, format string, args ...any) {
	p.add(true, s, url, format, args...)
}

func (p *prober) add(warning bool, s *stream, url, format string, args ...any) {
	problem := Problem{Warning: warning, URL: withoutToken(url), Text: fmt.Sprintf(format, args...)}
	if s != nil {
		problem.Stream = s.Name
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := problem.Stream + "\n" + format
	if p.alike[key]++; p.alike[key] > maxAlike || len(p.report.Problems) >= maxProblems {
		p.report.Dropped++
		return
	}
	p.report.Problems = append(p.report.Problems, problem)
}

// withoutToken leaves the query out of a URL: tokens are there.
func withoutToken(u string) string {
	head, _, _ := strings.Cut(u, "?")
	return head
}
