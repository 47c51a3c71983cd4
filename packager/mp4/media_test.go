package mp4_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/openams/openams/packager/mp4"
)

// clips are small files that ffmpeg makes, by name: the arguments before the
// output's name.
var clips = map[string]string{
	"bframes.mp4":   video(25, 320, 180, 8) + " -c:v libx264 -preset veryfast -bf 3 -g 50 -sc_threshold 0 -movflags +faststart",
	"muxed.mp4":     video(25, 320, 180, 14) + tone(48000, 14) + " -c:v libx264 -preset veryfast -bf 3 -g 50 -sc_threshold 0 -c:a aac -b:a 96k -metadata:s:a:0 language=nor",
	"film.mp4":      video(0, 320, 180, 13) + tone(44100, 13) + " -r 24000/1001 -c:v libx264 -preset veryfast -bf 2 -force_key_frames expr:gte(t,n_forced*2) -c:a aac -movflags +faststart",
	"surround.mp4":  tone51(4) + " -c:a aac -b:a 256k -movflags +faststart",
	"ac3.mp4":       tone51(4) + tone(48000, 4) + " -map 0 -map 0 -map 1 -c:a:0 ac3 -c:a:1 eac3 -c:a:2 ac3 -metadata:s:a:0 language=eng -metadata:s:a:1 language=jpn -metadata:s:a:2 language=swe",
	"hevc.mp4":      video(25, 320, 180, 4) + " -c:v libx265 -preset ultrafast -x265-params log-level=error:bframes=3:keyint=25 -tag:v hvc1",
	"vfr.mp4":       video(30, 320, 180, 5) + " -vf select='not(mod(n,7))+lt(n,40)' -fps_mode vfr -c:v libx264 -preset veryfast -g 20",
	"anamorph.mp4":  video(25, 320, 180, 1) + " -vf setsar=16/11 -c:v libx264 -preset veryfast",
	"many.mov":      video(30, 320, 180, 4) + tone(48000, 4) + tone(48000, 4) + " -map 0 -map 1 -map 2 -c:v libx264 -preset veryfast -g 30 -c:a:0 aac -c:a:1 pcm_s16le -metadata:s:a:0 language=fre",
	"late.mp4":      video(25, 320, 180, 4) + " -itsoffset 0.5" + tone(48000, 3) + " -c:v libx264 -preset veryfast -g 50 -c:a aac",
	"cmaf.mp4":      video(25, 320, 180, 6) + tone(48000, 6) + " -c:v libx264 -preset veryfast -bf 2 -g 50 -c:a aac -movflags +frag_keyframe+empty_moov+default_base_moof",
	"fragments.mp4": video(25, 320, 180, 6) + tone(48000, 6) + " -c:v libx264 -preset veryfast -bf 2 -g 50 -c:a aac -movflags +frag_keyframe",
	"captions.mp4":  video(25, 320, 180, 4) + " -i SRT -c:v libx264 -preset veryfast -g 50 -c:s mov_text -metadata:s:s:0 language=deu",
	"av1.mp4":       video(25, 160, 96, 2) + " -c:v libsvtav1 -preset 12 -g 25",
}

func video(fps, w, h, seconds int) string {
	rate := "24000/1001"
	if fps > 0 {
		rate = strconv.Itoa(fps)
	}
	return " -f lavfi -i testsrc2=size=" + strconv.Itoa(w) + "x" + strconv.Itoa(h) + ":rate=" + rate + ":duration=" + strconv.Itoa(seconds)
}

func tone(rate, seconds int) string {
	return " -f lavfi -i sine=sample_rate=" + strconv.Itoa(rate) + ":duration=" + strconv.Itoa(seconds)
}

func tone51(seconds int) string {
	return " -f lavfi -i aevalsrc=sin(t*880)|sin(t*990)|sin(t*660)|sin(t*50)|sin(t*440)|sin(t*550):c=5.1:s=48000:d=" + strconv.Itoa(seconds)
}

// clip makes one of the clips in a folder that all tests of the run share.
func clip(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(clipDir, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	srt := filepath.Join(clipDir, "captions.srt")
	if err := os.WriteFile(srt, []byte("1\n00:00:00,500 --> 00:00:01,500\nHello\n\n2\n00:00:02,000 --> 00:00:03,000\nWorld\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"-hide_banner", "-nostdin", "-v", "error", "-y"}
	for _, a := range strings.Fields(clips[name]) {
		args = append(args, strings.ReplaceAll(a, "SRT", srt))
	}
	args = append(args, "-pix_fmt", "yuv420p", path+".part.mp4")
	if strings.HasSuffix(name, ".mov") {
		args = append(args[:len(args)-1], "-f", "mov", path+".part.mp4")
	}
	if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg %v: %v\n%s", args, err, out)
	}
	if err := os.Rename(path+".part.mp4", path); err != nil {
		t.Fatal(err)
	}
	return path
}

var clipDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "mp4-clips-")
	if err != nil {
		panic(err)
	}
	clipDir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// foreign returns files of the mp4ff module and of OPENAMS_TEST_MEDIA.
func foreign(t testing.TB) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/Eyevinn/mp4ff").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "mp4", "testdata")
	var list []string
	for _, name := range []string{"bbb_prog_10s.mp4", "prog_8s.mp4", "prog_8s_dec_dashinit.mp4", "opus.mp4", "ed_hevc.mp4", "cbcs_audiodec.mp4", "bbb5s_aac_sidx.mp4", "bbb5s_aac.isma"} {
		list = append(list, filepath.Join(dir, name))
	}
	media := os.Getenv("OPENAMS_TEST_MEDIA")
	if media == "" {
		t.Log("OPENAMS_TEST_MEDIA is not set: its clips are left out")
		return list
	}
	for _, pattern := range []string{"*.mp4", "*.mov"} {
		names, _ := filepath.Glob(filepath.Join(media, pattern))
		list = append(list, names...)
	}
	return list
}

// open builds the index of a file.
func open(t testing.TB, path string) (*mp4.Index, *os.File) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	x, err := mp4.BuildIndex(f, st.Size())
	if err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	return x, f
}

// A packet is what ffprobe tells of one.
type packet struct {
	Index    int    `json:"stream_index"`
	PTS      int64  `json:"pts"`
	DTS      int64  `json:"dts"`
	Duration int64  `json:"duration"`
	Size     string `json:"size"`
	Pos      string `json:"pos"`
	Flags    string `json:"flags"`
}

// A stream is what ffprobe tells of one.
type stream struct {
	Index       int    `json:"index"`
	Type        string `json:"codec_type"`
	ID          string `json:"id"`
	Tag         string `json:"codec_tag_string"`
	TimeBase    string `json:"time_base"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	SAR         string `json:"sample_aspect_ratio"`
	SampleRate  string `json:"sample_rate"`
	Channels    int    `json:"channels"`
	BitRate     string `json:"bit_rate"`
	NumFrames   string `json:"nb_frames"`
	Tags        map[string]string
	Disposition map[string]int
	SideData    []struct {
		Rotation int `json:"rotation"`
	} `json:"side_data_list"`
}

// probe asks ffprobe for streams and packets.
func probe(t testing.TB, path string, args ...string) (streams []stream, packets [][]packet) {
	t.Helper()
	args = append([]string{"-v", "error", "-show_streams", "-show_packets", "-of", "json"}, append(args, path)...)
	out, err := exec.Command("ffprobe", args...).Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", path, err)
	}
	var v struct {
		Streams []stream
		Packets []packet
	}
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	packets = make([][]packet, len(v.Streams))
	for _, p := range v.Packets {
		packets[p.Index] = append(packets[p.Index], p)
	}
	return v.Streams, packets
}

func number(t testing.TB, s string) int64 {
	t.Helper()
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
