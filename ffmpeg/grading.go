package ffmpeg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// grading finds out what the first frame of an HDR10 picture tells of the display
// that it was graded on. Containers need not repeat it.
func (t Tools) grading(ctx context.Context, s *Stream, input []string) error {
	args := append([]string{"-v", "error", "-select_streams", strconv.Itoa(s.Index), "-read_intervals", "%+#1",
		"-show_frames", "-show_entries", "frame=side_data_list", "-of", "json=compact=1"}, input...)
	out, err := t.output(ctx, t.FFprobe, args...)
	if _, ok := errors.AsType[*Error](err); ok {
		return nil // the encode will say what is wrong with it
	}
	if err != nil {
		return err
	}
	s.parseGrading(out)
	return nil
}

// parseGrading reads the frames that ffprobe prints. What makes no sense is taken
// as unknown.
func (s *Stream) parseGrading(b []byte) {
	type sideData struct {
		Type    string `json:"side_data_type"`
		RedX    string `json:"red_x"`
		RedY    string `json:"red_y"`
		GreenX  string `json:"green_x"`
		GreenY  string `json:"green_y"`
		BlueX   string `json:"blue_x"`
		BlueY   string `json:"blue_y"`
		WhiteX  string `json:"white_point_x"`
		WhiteY  string `json:"white_point_y"`
		Least   string `json:"min_luminance"`
		Most    string `json:"max_luminance"`
		Content int    `json:"max_content"`
		Average int    `json:"max_average"`
	}
	type frame struct {
		SideData []sideData `json:"side_data_list"`
	}
	var doc struct {
		Frames []frame `json:"frames"`
		Both   []frame `json:"packets_and_frames"` // with -show_entries of 5.1
	}
	if json.Unmarshal(b, &doc) != nil {
		return
	}
	for _, f := range append(doc.Frames, doc.Both...) {
		for _, d := range f.SideData {
			switch d.Type {
			case "Mastering display metadata":
				ok := true
				in := func(s string, unit float64) int {
					if strings.HasPrefix(s, "0/") {
						return 0
					}
					r := parseRational(s, "/")
					v := math.Round(r.Float() * unit)
					ok = ok && r.Den > 0 && v < 1<<31
					return int(v)
				}
				// SMPTE ST 2086: chromaticities in 0.00002, luminance in 0.0001 cd/m2.
				const xy, nits = 50000, 10000
				text := fmt.Sprintf("G(%d,%d)B(%d,%d)R(%d,%d)WP(%d,%d)L(%d,%d)", in(d.GreenX, xy), in(d.GreenY, xy), in(d.BlueX, xy), in(d.BlueY, xy),
					in(d.RedX, xy), in(d.RedY, xy), in(d.WhiteX, xy), in(d.WhiteY, xy), in(d.Most, nits), in(d.Least, nits))
				if ok && s.Mastering == "" {
					s.Mastering = text
				}
			case "Content light level metadata":
				if d.Content > 0 && d.Content < 1<<16 && d.Average >= 0 && d.Average < 1<<16 && s.LightLevel == "" {
					s.LightLevel = fmt.Sprintf("%d,%d", d.Content, d.Average)
				}
			}
		}
	}
}
