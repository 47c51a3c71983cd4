package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/mp4"
)

// A playback is what a player saw behind a URL.
type playback struct {
	Codecs  []string
	Width   int
	Height  int
	Packets int // of the first video stream, else of the first stream
}

func (p *playback) String() string {
	s := strings.Join(p.Codecs, "+")
	if p.Height > 0 {
		s += fmt.Sprintf(" %dx%d", p.Width, p.Height)
	}
	return fmt.Sprintf("%s, %d packets", s, p.Packets)
}

// probeURL plays a URL, or the media on stdin when input is not nil, with
// ffprobe: every packet of the first video (or else audio) stream is read, and
// any complaint is an error.
func probeURL(ctx context.Context, ffprobe, target string, input io.Reader) (*playback, error) {
	args := []string{"-v", "error", "-count_packets", "-show_entries", "stream=codec_type,codec_name,width,height,nb_read_packets", "-of", "json"}
	if strings.Contains(target, "m3u8") {
		args = append(args, hlsOptions(ctx, ffprobe)...)
	}
	cmd := exec.CommandContext(ctx, ffprobe, append(args, target)...)
	cmd.Stdin = input
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if msg := strings.TrimSpace(stderr.String()); msg != "" {
		return nil, fmt.Errorf("ffprobe: %s", msg)
	}
	if err != nil {
		return nil, fmt.Errorf("ffprobe: %w", err)
	}
	var probe struct {
		Streams []struct {
			CodecType string `json:"codec_type"`
			CodecName string `json:"codec_name"`
			Width     int    `json:"width"`
			Height    int    `json:"height"`
			Packets   int    `json:"nb_read_packets,string"`
		} `json:"streams"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &probe); err != nil {
		return nil, fmt.Errorf("ffprobe's answer: %w", err)
	}
	p := new(playback)
	seen := map[string]bool{}
	for _, s := range probe.Streams {
		if !seen[s.CodecName] {
			seen[s.CodecName] = true
			p.Codecs = append(p.Codecs, s.CodecName)
		}
		if s.Packets == 0 {
			return nil, fmt.Errorf("the %s stream %s has no packets", s.CodecType, s.CodecName)
		}
		if s.Height > p.Height {
			p.Width, p.Height, p.Packets = s.Width, s.Height, s.Packets
		} else if p.Height == 0 {
			p.Packets = s.Packets
		}
	}
	if len(probe.Streams) == 0 {
		return nil, errors.New("no stream")
	}
	return p, nil
}

// hlsOptions let ffmpeg's tools read HLS whose segment URLs do not end in .ts
// or .mp4, as AMS's never did: newer versions refuse them otherwise, older
// ones do not know the options.
func hlsOptions(ctx context.Context, tool string) []string {
	help, _ := exec.CommandContext(ctx, tool, "-hide_banner", "-h", "demuxer=hls").Output()
	if !bytes.Contains(help, []byte("extension_picky")) {
		return nil
	}
	return []string{"-allowed_extensions", "ALL", "-allowed_segment_extensions", "ALL", "-extension_picky", "0"}
}

// A smoothManifest is the part of a Smooth Streaming client manifest that a
// player needs ([MS-SSTR] 2.2.2).
type smoothManifest struct {
	Streams []struct {
		Type      string `xml:"Type,attr"`
		URL       string `xml:"Url,attr"`
		TimeScale uint64 `xml:"TimeScale,attr"`
		Levels    []struct {
			Bitrate int    `xml:"Bitrate,attr"`
			FourCC  string `xml:"FourCC,attr"`
			Private string `xml:"CodecPrivateData,attr"`
			Width   int    `xml:"MaxWidth,attr"`
			Height  int    `xml:"MaxHeight,attr"`
			Rate    int    `xml:"SamplingRate,attr"`
		} `xml:"QualityLevel"`
		Chunks []struct {
			Time     *uint64 `xml:"t,attr"`
			Duration uint64  `xml:"d,attr"`
			Repeat   int     `xml:"r,attr"`
		} `xml:"c"`
	} `xml:"StreamIndex"`
}

// playSmooth plays a Smooth Streaming presentation, which ffprobe cannot: it
// reads the manifest, fetches every fragment of each stream's best quality,
// puts the header in front that a Smooth player makes from CodecPrivateData,
// and lets ffprobe read the result.
func playSmooth(ctx context.Context, c *http.Client, ffprobe, manifestURL string) (*playback, error) {
	data, err := fetch(ctx, c, manifestURL)
	if err != nil {
		return nil, err
	}
	var m smoothManifest
	if err := xml.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	all := new(playback)
	for _, s := range m.Streams {
		if len(s.Levels) == 0 || s.Type == "text" {
			continue
		}
		best := s.Levels[0]
		for _, l := range s.Levels {
			if l.Bitrate > best.Bitrate {
				best = l
			}
		}
		var starts []uint64
		var at uint64
		for _, ch := range s.Chunks {
			if ch.Time != nil {
				at = *ch.Time
			}
			for range max(1, ch.Repeat) {
				starts = append(starts, at)
				at += ch.Duration
			}
		}
		var media bytes.Buffer
		var trackID uint32
		for i, t := range starts {
			rel := strings.NewReplacer("{bitrate}", fmt.Sprint(best.Bitrate), "{start time}", fmt.Sprint(t)).Replace(s.URL)
			u, err := resolve(manifestURL, rel)
			if err != nil {
				return nil, err
			}
			frag, err := fetch(ctx, c, u)
			if err != nil {
				return nil, fmt.Errorf("fragment %d: %w", i, err)
			}
			f, err := mp4.DecodeFile(bytes.NewReader(frag))
			if err != nil || len(f.Segments) != 1 || len(f.Segments[0].Fragments) != 1 {
				return nil, fmt.Errorf("fragment %d of %s is not one moof and mdat: %v", i, s.Type, err)
			}
			trackID = f.Segments[0].Fragments[0].Moof.Traf.Tfhd.TrackID
			media.Write(frag)
		}
		header, err := smoothHeader(s.Type, best.FourCC, best.Private, best.Rate, trackID)
		if err != nil {
			return nil, err
		}
		p, err := probeURL(ctx, ffprobe, "-", io.MultiReader(header, &media))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Type, err)
		}
		all.Codecs = append(all.Codecs, p.Codecs...)
		if p.Height > 0 {
			all.Width, all.Height, all.Packets = p.Width, p.Height, p.Packets
		} else if all.Packets == 0 {
			all.Packets = p.Packets
		}
	}
	if len(all.Codecs) == 0 {
		return nil, errors.New("the manifest has no stream")
	}
	return all, nil
}

// smoothHeader makes the moov that a Smooth player makes.
func smoothHeader(kind, fourCC, private string, rate int, trackID uint32) (io.Reader, error) {
	config, err := hex.DecodeString(private)
	if err != nil {
		return nil, fmt.Errorf("CodecPrivateData: %w", err)
	}
	init := mp4.CreateEmptyInit()
	const timescale = 10_000_000 // [MS-SSTR] 2.2.2.1: the default of TimeScale
	init.AddEmptyTrack(timescale, kind, "und")
	trak := init.Moov.Trak
	switch fourCC {
	case "H264", "AVC1":
		var sps, pps [][]byte
		for _, nalu := range avc.ExtractNalusFromByteStream(config) {
			switch avc.GetNaluType(nalu[0]) {
			case avc.NALU_SPS:
				sps = append(sps, nalu)
			case avc.NALU_PPS:
				pps = append(pps, nalu)
			}
		}
		err = trak.SetAVCDescriptor("avc1", sps, pps, true)
	case "AACL", "AACH":
		err = trak.SetAACDescriptor(2 /* AAC-LC */, rate)
	default:
		err = fmt.Errorf("FourCC %s is not known here", fourCC)
	}
	if err != nil {
		return nil, err
	}
	trak.Tkhd.TrackID = trackID
	init.Moov.Mvex.Trex.TrackID = trackID
	var buf bytes.Buffer
	if err := init.Encode(&buf); err != nil {
		return nil, err
	}
	return &buf, nil
}

func resolve(base, rel string) (string, error) {
	b, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	r, err := url.Parse(rel)
	if err != nil {
		return "", err
	}
	return b.ResolveReference(r).String(), nil
}

func fetch(ctx context.Context, c *http.Client, target string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 256<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %.300s", target, resp.Status, data)
	}
	return data, nil
}
