package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	media "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/mediaservices/armmediaservices/v3"
)

// A cell is one way to play a film: see js/matrix.mjs.
type cell struct {
	Name     string `json:"name"`
	Player   string `json:"player"`
	URL      string `json:"url"`
	Token    string `json:"token,omitempty"`
	Licence  bool   `json:"licence,omitempty"`
	Lang     string `json:"lang,omitempty"`
	Text     string `json:"text,omitempty"`
	WrongKey bool   `json:"wrongKey,omitempty"`
	Fail     bool   `json:"fail,omitempty"`
}

// TestPlayerMatrix plays every format under every encryption in every player
// that has them: 10 s with subtitles, then the other rendition, then a far seek.
// What is missing from the table no player of the three can do, but for hls.js and
// SAMPLE-AES of TS, which TestProtectionEndToEnd has; Shaka 5 has no Smooth Streaming and
// hls.js no DASH; the AES-128 of AMS for DASH and Smooth had one player, which is
// gone; dash.js has no ClearKey for Smooth, whose manifests name PlayReady;
// Shaka finds ClearKey in HLS by KEYFORMAT="identity" alone, which under cbcs
// would keep hls.js from playing.
func TestPlayerMatrix(t *testing.T) {
	t.Parallel()
	f := publishProtected(t, true, func(c *sdk) { smallFilm(t, c) })
	f.publish(t, "clear", "out", "Predefined_ClearStreamingOnly")
	l, err := f.locators.Get(t.Context(), f.ResourceGroup, f.AccountName, "clear", nil)
	if err != nil {
		t.Fatal(err)
	}
	clear := strings.Replace(f.ism, f.locator, *l.Properties.StreamingLocatorID, 1)
	good, bad := viewer(t, tokenSecret), viewer(t, []byte("not the key of the policy"))

	formats := map[string][]string{
		"hls.js":  {"m3u8-aapl-v3", "m3u8-aapl", "m3u8-cmaf"},
		"shaka":   {"m3u8-aapl-v3", "m3u8-aapl", "m3u8-cmaf", "mpd-time-csf", "mpd-time-cmaf"},
		"dash.js": {"mpd-time-csf", "mpd-time-cmaf", ""},
	}
	schemes := func(format string) []string {
		switch {
		case format == "":
			return []string{""}
		case strings.HasPrefix(format, "m3u8-aapl"):
			return []string{"", "cbc"}
		case format == "m3u8-cmaf":
			return []string{"", "cbc", "cenc", "cbcs-aapl"}
		}
		return []string{"", "cenc", "cbcs-aapl"}
	}
	var cells []cell
	for _, player := range []string{"hls.js", "shaka", "dash.js"} {
		for _, format := range formats[player] {
			for _, scheme := range schemes(format) {
				if player == "shaka" && format == "m3u8-cmaf" && scheme == "cbcs-aapl" {
					continue
				}
				c := cell{Name: strings.Join([]string{player, format, scheme}, " "), Player: player}
				switch format {
				case "m3u8-aapl-v3": // has no subtitles
				case "m3u8-aapl", "mpd-time-csf":
					c.Lang, c.Text = "en", "Hello" // from WebVTT
				default:
					c.Lang, c.Text = "de", "Hallo" // from TTML
				}
				keys, base := "format="+format, clear
				if format == "" {
					keys = ""
				}
				if scheme != "" {
					keys, base, c.Token, c.Licence = keys+",encryption="+scheme, f.ism, good, scheme != "cbc"
				}
				c.URL = base + "/manifest(" + keys + ")"
				cells = append(cells, c)
			}
		}
	}
	for _, c := range []cell{
		{Player: "hls.js", URL: "(format=m3u8-aapl,encryption=cbc)"},
		{Player: "hls.js", URL: "(format=m3u8-cmaf,encryption=cbcs-aapl)", Licence: true},
		{Player: "shaka", URL: "(format=mpd-time-csf,encryption=cenc)", Licence: true},
		{Player: "dash.js", URL: "(format=mpd-time-cmaf,encryption=cbcs-aapl)", Licence: true},
	} {
		c.URL, c.Fail = f.ism+"/manifest"+c.URL, true
		c.Name, c.Token = "wrong token "+c.Player+c.URL[strings.Index(c.URL, "("):], bad
		cells = append(cells, c)
		c.Name, c.Token, c.WrongKey = strings.Replace(c.Name, "token", "key", 1), good, true
		cells = append(cells, c)
	}

	request, err := json.Marshal(map[string]any{"keys": f.KeyDeliveryEndpoint, "parallel": 4, "cells": cells})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "js/matrix.mjs")
	cmd.Env, cmd.Stdin = f.env(), bytes.NewReader(request)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	played := map[string]bool{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var got struct {
			Name, Text     string
			Time, Duration float64
			First, Second  int
			Seeked         bool
			Frames, Audio  int
			Colours        int
			KeyStatuses    []int
			Errors         []string
		}
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, lines.Bytes())
		}
		i := slices.IndexFunc(cells, func(c cell) bool { return c.Name == got.Name })
		if i < 0 {
			t.Fatalf("no cell %q", got.Name)
		}
		c := cells[i]
		played[c.Name] = true
		t.Logf("%s", lines.Bytes())
		if c.Fail {
			if got.Time > 1 || len(got.KeyStatuses) == 0 {
				t.Errorf("%s: it plays: %s", c.Name, lines.Bytes())
			}
			for _, status := range got.KeyStatuses {
				if (status == 401) != !c.WrongKey {
					t.Errorf("%s: a key request was answered with %d", c.Name, status)
				}
			}
			continue
		}
		switch {
		case len(got.Errors) > 0:
			t.Errorf("%s: the player complained: %q", c.Name, got.Errors)
		case !strings.Contains(got.Text, c.Text):
			t.Errorf("%s: the subtitles say %q", c.Name, got.Text)
		case got.First != 90 || got.Second != 180:
			t.Errorf("%s: pictures of %d, then %d lines", c.Name, got.First, got.Second)
		case !got.Seeked || got.Frames < 100 || got.Audio < 10_000:
			t.Errorf("%s: stood still: %s", c.Name, lines.Bytes())
		case got.Duration < 23.9 || got.Duration > 24.2:
			t.Errorf("%s: 24 s last %.2f s", c.Name, got.Duration)
		case got.Colours < 20 && !c.Licence:
			t.Errorf("%s: no picture: %d colours", c.Name, got.Colours)
		case (c.Token != "") != (len(got.KeyStatuses) > 0):
			t.Errorf("%s: %d requests for keys", c.Name, len(got.KeyStatuses))
		}
	}
	for _, c := range cells {
		if !played[c.Name] {
			t.Errorf("%s: not played", c.Name)
		}
	}
}

// smallFilm fills the asset "out" with two small renditions of 24 s, a server
// manifest, and subtitles that the tracks API adds.
func smallFilm(t *testing.T, c *sdk) {
	t.Helper()
	c.createAsset(t, "out")
	ism := `<smil xmlns="http://www.w3.org/2001/SMIL20/Language"><head><meta name="formats" content="mp4"/></head><body><switch>`
	for _, r := range []struct{ name, size, rate string }{{"low.mp4", "160x90", "80k"}, {"high.mp4", "320x180", "250k"}} {
		c.upload(t, "out", clip(t, r.name, "-f", "lavfi", "-i", "testsrc2=size="+r.size+":rate=25:duration=24",
			"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=24",
			"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-b:v", r.rate, "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "64k"))
		ism += fmt.Sprintf("<video src=%q/>", r.name)
	}
	ism += `<audio src="low.mp4" systemLanguage="eng"/></switch></body></smil>`
	dir := t.TempDir()
	for name, content := range map[string]string{
		"film.ism": ism,
		"en.vtt":   "WEBVTT\nLanguage: en\n\n00:02.000 --> 00:08.000\nHello\n\n00:09.000 --> 00:14.000\nover the edge\n",
		"de.ttml":  `<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="de"><body><div><p begin="2s" end="8s">Hallo</p></div></body></tt>`,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		c.upload(t, "out", path)
	}
	for name, track := range map[string]media.TextTrack{
		"english": {FileName: to.Ptr("en.vtt"), DisplayName: to.Ptr("English"), HlsSettings: &media.HlsSettings{Default: to.Ptr(true)}},
		"german":  {FileName: to.Ptr("de.ttml"), DisplayName: to.Ptr("Deutsch")},
	} {
		track.ODataType = to.Ptr("#Microsoft.Media.TextTrack")
		poller, err := c.tracks.BeginCreateOrUpdate(t.Context(), c.ResourceGroup, c.AccountName, "out", name, media.AssetTrack{Properties: &media.AssetTrackProperties{Track: &track}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := poller.PollUntilDone(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
}
