package origin

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/packager"
)

// conditions answers a request whose conditions say that no body is wanted
// (RFC 9110 13.2.2): 304, or the error that is answered with 412. The headers of
// a, without those that tell of a body, are already set. tags are the entity
// tags, quoted, of all encodings of the one thing; modified is zero for what has
// no time.
func conditions(a *answer, r *http.Request, modified time.Time, tags ...string) (done bool, err error) {
	if list := r.Header["If-Match"]; list != nil {
		if !anyMatches(list, true, tags) {
			return true, errorf(ConditionNotMet, "there is another version than that of If-Match")
		}
	} else if t, ok := timeOf(r, "If-Unmodified-Since", modified); ok && modified.After(t) {
		return true, errorf(ConditionNotMet, "there is a newer version than that of If-Unmodified-Since")
	}
	if list := r.Header["If-None-Match"]; list != nil {
		done = anyMatches(list, false, tags)
	} else if t, ok := timeOf(r, "If-Modified-Since", modified); ok {
		done = !modified.After(t)
	}
	if done {
		a.Header().Del("Content-Type")
		a.Header().Del("Content-Encoding")
		a.WriteHeader(http.StatusNotModified)
	}
	return done, nil
}

func timeOf(r *http.Request, header string, modified time.Time) (time.Time, bool) {
	v := r.Header.Get(header)
	if v == "" || modified.IsZero() {
		return time.Time{}, false
	}
	t, err := http.ParseTime(v)
	return t, err == nil
}

// anyMatches reports whether a list of entity tags holds one of tags: by strong
// comparison a weak one never does.
func anyMatches(list []string, strong bool, tags []string) bool {
	for _, tag := range tags {
		if matches(list, strong, tag) {
			return true
		}
	}
	return false
}

func matches(list []string, strong bool, tag string) bool {
	for _, v := range list {
		for item := range strings.SplitSeq(v, ",") {
			item = strings.TrimSpace(item)
			if !strong {
				item = strings.TrimPrefix(item, "W/")
			}
			if item == "*" || item == tag {
				return true
			}
		}
	}
	return false
}

// prefetch tells a CDN that asked for it which segment comes next (documented:
// CDN-Origin-Assist-Prefetch-Enabled), relative to the path of this one and in
// its spelling, so that the CDN finds it under the URL that players use.
func prefetch(a *answer, r *http.Request, p *packager.Presentation, q *Request) {
	if enabled := r.Header["Cdn-Origin-Assist-Prefetch-Enabled"]; len(enabled) == 0 || enabled[0] != "1" {
		return
	}
	if next, ok := following(p, q); ok {
		if path := withTime(r.URL.EscapedPath(), q.Time, next); path != "" {
			a.Header().Set("CDN-Origin-Assist-Prefetch-Path", path)
		}
	}
}

// following returns the time of the segment after the one that q asks for.
func following(p *packager.Presentation, q *Request) (time uint64, ok bool) {
	r, err := p.Rendition(q.Track, q.Bitrate)
	if err != nil {
		return 0, false
	}
	k, err := r.FragmentAt(uint64(q.Time))
	if err != nil {
		return 0, false
	}
	k++
	if q.Format == HLSv3 || q.Format == HLSv4 {
		k += p.FragmentsPerTS - 1
	}
	if k >= len(r.Fragments) {
		return 0, false
	}
	return r.Fragments[k].Start, true
}

// withTime is the last segment of an escaped path with another time in it, "" if
// the path does not spell the old one plainly.
func withTime(path string, old int64, time uint64) string {
	path = path[strings.LastIndexByte(path, '/')+1:]
	for _, sign := range []string{"=", "%3D", "%3d"} {
		was := sign + strconv.FormatInt(old, 10)
		if i := strings.Index(path, was); i >= 0 {
			return path[:i] + sign + strconv.FormatUint(time, 10) + path[i+len(was):]
		}
	}
	return ""
}
