package origin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/packager"
)

// TestEveryCode has the server answer every code that it knows, with the status
// that AMS documented, over HTTP.
func TestEveryCode(t *testing.T) {
	var later atomic.Int64
	broken := &brokenBlobs{}
	sh := &shield{policy: policyOf(t, everything)}
	s := newStage(t, func(c *Config) {
		broken.Blobs, c.Blobs = c.Blobs, broken
		sh.Locators, c.Locators = c.Locators, sh
		c.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	})
	set := func(name, streams string) {
		s.put(name, []byte("<smil><body><switch>"+streams+"</switch></body></smil>"))
	}
	encode := func(name, args string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if out, err := exec.Command("ffmpeg", append(strings.Fields("-v error -nostdin "+args), path)...).CombinedOutput(); err != nil {
			t.Fatalf("ffmpeg %s: %v: %s", args, err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s.put(name, b)
	}
	const black = "-f lavfi -i color=s=64x36:r=2:d=30 "
	encode("old.mp4", "-f lavfi -i color=s=64x36:r=25:d=2 -f lavfi -i sine=d=2 -c:v mpeg4 -c:a libmp3lame")
	encode("rare.mp4", black+"-c:v libx264 -preset ultrafast -g 100 -keyint_min 100")
	encode("hidden.mp4", black+"-c:v libx264 -preset ultrafast -g 10 -encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8")
	torn := bytes.Clone(media(t)["film_180.mp4"])
	torn[bytes.Index(torn, []byte("mdat"))+4] = 0x7f // of the length of the first NAL unit
	s.put("torn.mp4", torn)
	s.put("text.mp4", []byte("some words, no boxes"))
	set("torn.ism", `<video src="torn.mp4" systemBitrate="1"/>`)
	set("picture.ism", `<video src="old.mp4"/>`)
	set("sound.ism", `<audio src="old.mp4"/>`)
	set("rare.ism", `<video src="rare.mp4"/>`)
	set("hidden.ism", `<video src="hidden.mp4"/>`)
	set("text.ism", `<video src="text.mp4"/>`)
	set("gone.ism", `<video src="gone.mp4"/>`)
	set("captions.ism", `<textstream src="captions.vtt"/>`)
	set("many.ism", strings.Repeat(`<video src="film_180.mp4"><param name="trackID" value="1"/></video>`, packager.MaxRenditions+1))
	set("words.ism", `<video src="film_180.mp4"/><textstream src="captions.vtt" systemBitrate="52"><param name="trackName" value="words"/></textstream>`)
	for name, b := range archive(t, "vod-cmaf", 1000) {
		if name == "rec.ism" {
			b = bytes.Replace(b, []byte("<head>"), []byte(`<head><meta name="openamsEarly" content="growing"/>`), 1)
		}
		s.put(name, b)
	}
	long, short, forced := int64(10*ams.DefaultTimescale), int64(ams.DefaultTimescale), true
	for name, f := range map[string]ams.ManifestFilter{
		"one": {FirstQuality: 1}, "two": {FirstQuality: 2}, "none": {Tracks: []ams.TrackSelection{only("Type=video", "Bitrate=7")}},
		"early": {Time: span(0, 50000000)}, "late": {Time: span(60000000, 70000000)},
		"behind":  {Time: &ams.TimeRange{Backoff: &long}},
		"between": {Time: &ams.TimeRange{Backoff: &long, Window: ptr(60 * short)}}, "little": {Time: &ams.TimeRange{Window: ptr(60 * short), Backoff: ptr(60 * short)}},
		"past": {Time: &ams.TimeRange{End: &short, ForceEndTime: &forced}},
	} {
		f.Name = name
		s.filterOf("", f)
	}
	for i := range 11 {
		s.filterOf("", ams.ManifestFilter{Name: fmt.Sprintf("f%d", i)})
	}
	sh.locator = s.publish("Predefined_ClearStreamingOnly")
	published := map[string]string{"": s.locator, "of keys": sh.locator}
	under := func(policy string) string {
		if published[policy] == "" {
			published[policy] = s.publish(policy)
		}
		return published[policy]
	}
	const segment = "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-cmaf)"
	provoke := []provocation{
		{packager.BadURLSyntax, 400, "film.ism/QualityLevels(1)/Other(video=0)", "", nil},
		{EncryptionNotSpecified, 400, "film.ism/manifest(format=mpd-time-csf)", "of keys", nil},
		{OutputFormatBlocked, 403, "film.ism/manifest(format=mpd-time-csf)", "Predefined_DownloadOnly", nil},
		{EncryptionNotInPolicy, 403, "film.ism/manifest(encryption=cenc)", "", nil},
		{AccessDenied, 403, "film.ism/manifest", "", []ask{asked("closed-acct.localhost")}},
		{packager.TrackNotFound, 404, "film.ism/QualityLevels(600000)/Fragments(radio=0)", "", nil},
		{packager.ResourceNotFound, 404, "other.ism/manifest", "", nil},
		{packager.ResourceNotFound, 404, "other.mp4", "", nil},
		{FilterNotFound, 404, "film.ism/manifest(filter=unknown)", "", nil},
		{packager.FragmentTimestampNotFound, 404, "film.ism/QualityLevels(600000)/Fragments(video=5)", "", nil},
		{packager.MediaEntryNotFound, 404, "film.ism/QualityLevels(5)/Fragments(video=0)", "", nil},
		{packager.MetadataNotFound, 404, "captions.ism/manifest", "", nil},
		{packager.StorageResourceNotFound, 404, "gone.ism/manifest", "", nil},
		{MethodNotAllowed, 405, segment, "", []ask{func(r *http.Request) { r.Method = http.MethodDelete }}},
		{packager.FilterForceEndOutside, 410, "rec.ism/manifest(filter=past)", "", nil},
		{ConditionNotMet, 412, segment, "", []ask{header("If-Match", `"other"`)}},
		{InvalidRange, 416, segment, "", []ask{header("Range", "bytes=99999999-")}},
		{packager.FormatNotSupported, 415, "many.ism/manifest", "", nil},
		{packager.InputFormatNotSupported, 415, "text.ism/manifest", "", nil},
		{packager.OutputFormatNotSupported, 415, "film.ism/manifest(format=f4m-f4f)", "", nil},
		{EncryptionNotSupported, 415, "film.ism/manifest(encryption=rot13)", "", nil},
		{packager.MediaTypeNotSupported, 415, "words.ism/QualityLevels(52)/Fragments(words=i,format=m3u8-cmaf)", "", nil},
		{packager.VideoEncodingNotSupported, 415, "picture.ism/manifest", "", nil},
		{packager.AudioEncodingNotSupported, 415, "sound.ism/manifest", "", nil},
		{packager.InputProtectionNotSupported, 415, "hidden.ism/manifest", "", nil},
		{OutputProtectionMissing, 415, "film.ism/manifest(encryption=cenc)", "of keys", nil},
		{packager.InvalidNALUSize, 415, "torn.ism/QualityLevels(1)/Fragments(video=0,format=m3u8-aapl)", "", nil},
		{packager.KeyFrameIntervalTooLarge, 415, "rare.ism/manifest", "", nil},
		{packager.FilterRemovedAll, 415, "film.ism/manifest(filter=none)", "", nil},
		{packager.FilterRangeInvalid, 415, "film.ism/manifest(filter=early;late)", "", nil},
		{packager.FilterBackoffOverWindow, 415, "rec.ism/manifest(filter=little)", "", nil},
		{packager.FilterBackoffOverDVR, 415, "rec.ism/manifest(filter=behind)", "", nil},
		{TooManyFilters, 415, "film.ism/manifest(filter=f1;f2;f3;f4;f5;f6;f7;f8;f9;f10;f0)", "", nil},
		{SeveralFirstQualities, 415, "film.ism/manifest(filter=one;two)", "", nil},
		{StorageFailure, 500, "captions.vtt", "", []ask{func(*http.Request) { broken.now.Store(true) }}},
		{ServerBusy, 503, "film.ism/QualityLevels(600000)/Fragments(video=0,format=m3u8-aapl)", "", []ask{func(*http.Request) {
			broken.now.Store(false)
			s.handler.memory.TryAcquire(512 << 20)
		}}},
		{EndpointStopped, 503, "film.ism/manifest", "", []ask{func(*http.Request) {
			op, err := s.account.StopEndpoint(t.Context(), ams.DefaultEndpoint)
			if err != nil {
				t.Fatal(err)
			}
			s.wait(op)
		}}},
	}
	s.handler.busy = time.Millisecond
	s.endpoint("closed", ams.EndpointSettings{Access: &ams.EndpointAccess{IP: &ams.IPAccess{Allow: []ams.IPRange{{Address: "192.0.2.1"}}}}})
	for _, tt := range provoke {
		locator := under(tt.policy)
		methods := []string{http.MethodGet, http.MethodHead}
		if tt.code == packager.InvalidNALUSize || tt.code == ServerBusy {
			methods = methods[:1] // HEAD makes no segment, and so meets nothing that is wrong with it
		}
		for _, method := range methods {
			s.under(locator, func() {
				res, body := s.do(method, s.at(tt.path), append(slices.Clone(tt.asks), header("Origin", "https://player.example"))...)
				if res.StatusCode != tt.status || res.Header.Get("X-Ms-Error-Code") != string(tt.code) || method == http.MethodGet && !strings.Contains(string(body), "<Code>"+string(tt.code)+"</Code>") {
					t.Errorf("%s %s: %s %s: %.300s; want %d %s", method, tt.path, res.Status, res.Header.Get("X-Ms-Error-Code"), body, tt.status, tt.code)
				}
				// A page of another origin may read what went wrong, and no cache keeps it.
				if !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "x-ms-error-code") || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Etag") != "" {
					t.Errorf("%s: %v", tt.path, res.Header)
				}
			})
		}
	}
	for code := range codesOf(t, "errors.go", "../packager/errors.go") {
		if !slices.ContainsFunc(provoke, func(p provocation) bool { return p.code == code }) {
			t.Errorf("nothing provokes %s", code)
		}
	}
}

// A provocation is a request that must be answered by one code.
type provocation struct {
	code   packager.Code
	status int
	path   string
	policy string // "": everything in the clear
	asks   []ask
}

// codesOf finds the codes that the constants of files spell.
func codesOf(t *testing.T, files ...string) map[packager.Code]bool {
	t.Helper()
	codes := map[packager.Code]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if typ := fmt.Sprint(v.Type); !strings.Contains(typ, "Code") {
				return true
			}
			for _, x := range v.Values {
				if lit, ok := x.(*ast.BasicLit); ok {
					if code, err := strconv.Unquote(lit.Value); err == nil {
						codes[packager.Code(code)] = true
					}
				}
			}
			return true
		})
	}
	if len(codes) < 30 {
		t.Errorf("only %d codes were found", len(codes))
	}
	return codes
}

// brokenBlobs is a store whose disk may fail.
type brokenBlobs struct {
	Blobs
	now atomic.Bool
}

func (b *brokenBlobs) Open(ctx context.Context, account, container, name string) (*blob.Reader, error) {
	if b.now.Load() {
		return nil, errors.New("the disk does not answer")
	}
	return b.Blobs.Open(ctx, account, container, name)
}
