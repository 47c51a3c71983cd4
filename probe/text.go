package probe

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	cueTiming    = regexp.MustCompile(`^(?:(\d{2,}):)?(\d{2}):(\d{2})\.(\d{3})[ \t]+-->[ \t]+(?:(\d{2,}):)?(\d{2}):(\d{2})\.(\d{3})(?:[ \t]|$)`)
	timestampMap = regexp.MustCompile(`^X-TIMESTAMP-MAP=(LOCAL:(\d{2,}:)?\d{2}:\d{2}\.\d{3},MPEGTS:\d+|MPEGTS:\d+,LOCAL:(\d{2,}:)?\d{2}:\d{2}\.\d{3})$`)
)

// webVTT checks a WebVTT file; segment tells that it is one of HLS, which maps
// its times (RFC 8216 3.5).
func webVTT(b []byte, segment bool) error {
	if !utf8.Valid(b) {
		return errors.New("it is not UTF-8")
	}
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimPrefix(string(b), "\ufeff")), "\n")
	if l := lines[0]; l != "WEBVTT" && !strings.HasPrefix(l, "WEBVTT ") && !strings.HasPrefix(l, "WEBVTT\t") {
		return errors.New("it does not begin with WEBVTT")
	}
	mapped := false
	for i, l := range lines {
		if strings.HasPrefix(l, "X-TIMESTAMP-MAP") {
			if mapped = timestampMap.MatchString(l); !mapped {
				return fmt.Errorf("line %d: %q is malformed", i+1, l)
			}
		}
		if !strings.Contains(l, "-->") {
			continue
		}
		m := cueTiming.FindStringSubmatch(l)
		if m == nil {
			return fmt.Errorf("line %d: the times of a cue are malformed", i+1)
		}
		ms := func(part []string) (t int) {
			for k, factor := range []int{3_600_000, 60_000, 1000, 1} {
				n, _ := strconv.Atoi(part[k])
				t += n * factor
			}
			return t
		}
		if ms(m[1:5]) >= ms(m[5:9]) {
			return fmt.Errorf("line %d: a cue ends before it starts", i+1)
		}
	}
	if segment && !mapped {
		return errors.New("a segment of WebVTT has no X-TIMESTAMP-MAP (RFC 8216 3.5)")
	}
	return nil
}

// wholeText checks a file of subtitles.
func wholeText(b []byte) error {
	if head := bytes.TrimLeft(b, "\ufeff \t\r\n"); bytes.HasPrefix(head, []byte("<")) {
		_, err := parseXML(b)
		return err
	}
	return webVTT(b, false)
}
