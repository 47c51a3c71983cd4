package encoder

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/openams/openams/ams"
)

// TestInputMetadata holds what is told of sources, in both forms. The names and
// units are those of Microsoft's examples.
func TestInputMetadata(t *testing.T) {
	var srcs []Source
	for _, name := range []string{"bbb-720p-2audio-2subs-5s.mkv", "phone-portrait-rot90-2s.mov", "smallwmv-wmv3-5s.wmv"} {
		srcs = append(srcs, Source{Name: name, Path: name, URI: "https://store.example/in/" + name, Info: readProbe(t, "testdata/probes/"+name+".json")})
	}
	srcs = append(srcs, srcs[0]) // a file that is read twice is one file
	doc := inputMetadata(srcs)
	golden(t, "testdata/metadata/input.json", encodeJSON(doc))
	golden(t, "testdata/metadata/input.xml", inputMetadataXML(doc))
}

// TestOutputs holds the files that describe an output asset, in both forms.
func TestOutputs(t *testing.T) {
	source := film(t, "3", "160x90", "30000/1001")
	measured := regexp.MustCompile(`(\b(?:Size|Bitrate|MaxGOPBitrate|systemBitrate)"?(?:: |=|" value=)"?|_2_|CodecPrivateData=")[0-9A-F]{2,}`)
	guid := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	for _, tt := range []struct {
		name   string
		preset ams.Preset
	}{
		{"v3", standard(`{"codecs":[{"#H264Video","layers":[{"bitrate":300000,"width":"160","height":"90"},{"bitrate":90000,"width":"80","height":"46"}]},{"#H265Video","layers":[{"bitrate":100000}]},
			{"#AacAudio","bitrate":64000}],"formats":[{"#Mp4Format","filenamePattern":"{Basename}-{Codec}-{Resolution}{Extension}"}]}`)},
		{"v2", configured(t, ams.AzureMediaEncoder, "H264 Adaptive Bitrate MP4 Set SD 4x3")},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		q := Request{Feeds: []Feed{feed(t, "", Clip{}, source)}}
		q.Feeds[0].Files[0].Asset = "11111111-2222-3333-4444-555555555555"
		q.Feeds[0].Files[0].URI = "https://store.example/in/film.mp4"
		files, plan, err := encodeRequest(t, tt.preset, q, dir)
		if err != nil {
			t.Fatal(err)
		}
		check(t, files, plan, dir)
		var got strings.Builder
		for _, f := range files {
			if strings.HasSuffix(f.Name, "_metadata.xml") && f.Name != "11111111-2222-3333-4444-555555555555_metadata.xml" {
				t.Errorf("%s is not named after the input asset", f.Name)
			}
			name := guid.ReplaceAllString(f.Name, "GUID")
			got.WriteString("== " + name + " " + f.ContentType + "\n")
			switch filepath.Ext(name) {
			case ".ism", ".ismc", ".json", ".xml":
				if !strings.HasPrefix(name, "GUID") {
					got.WriteString(measured.ReplaceAllString(string(read(t, f.Path)), "${1}N") + "\n")
				}
			}
		}
		golden(t, "testdata/metadata/outputs-"+tt.name+".txt", []byte(got.String()))
	}
}

// TestMacros: names of outputs are made of all that AMS's patterns could hold, in
// kbit/s for v2 and in bit/s for v3. What has no value vanishes, and so does what
// no file may be called.
func TestMacros(t *testing.T) {
	long := "A film with a name of far more than sixty-four characters, which AMS cut, one way or another"
	source := filepath.Join(t.TempDir(), long+".mp4")
	if err := os.Rename(film(t, "0.4", "160x90", "25"), source); err != nil {
		t.Fatal(err)
	}
	const pattern = "{Basename}-{Codec}-{Bitrate}-{VideoBitrate}-{AudioBitrate}-{Width}-{Height}-{Resolution}-{Channel}-{Label}-{Language}-{Index}-{Nothing}-{DefaultExtension}{Extension}"
	for _, tt := range []struct {
		name   string
		preset ams.Preset
		want   string // the first output
	}{
		{"v2", configured(t, ams.MediaEncoderStandard, `{"Version":1.0,"Codecs":[{"Type":"H264Video","H264Layers":[{"Bitrate":"300","Width":"160","Height":"90","Label":"hd"}]},{"Type":"AACAudio","Channels":1,"Bitrate":64}],
			"Outputs":[{"FileName":"`+pattern+`","Format":{"Type":"MP4Format"}}]}`), long[:32] + "-H264-300-300-64-160-90-160x90-1-hd-fra---mp4.mp4"},
		{"v3", standard(`{"codecs":[{"#H264Video","layers":[{"bitrate":300000,"label":"hd"}]},{"#AacAudio","channels":1,"bitrate":64000}],"formats":[{"#Mp4Format","filenamePattern":"` + pattern + `"}]}`),
			long[:32] + "-H264-300000-300-64-160-90-160x90-1-hd-fra---mp4.mp4"},
		{"copied", standard(`{"codecs":[{"#CopyVideo"},{"#CopyAudio"}],"formats":[{"#Mp4Format","filenamePattern":"{Basename}-{Resolution}{Extension}"}]}`), long[:64] + "-160x90.mp4"},
		{"sound alone", standard(`{"codecs":[{"#AacAudio","bitrate":96000,"label":"st"}],"formats":[{"#Mp4Format","filenamePattern":"{Label}_{Bitrate}_{Codec}{Extension}"}]}`), "st_96000_AAC.mp4"},
		{"images", standard(`{"codecs":[{"#PngImage","start":"0","step":"5","range":"100%","layers":[{"width":"80","height":"46","label":"small"}]}],"formats":[{"#PngFormat","filenamePattern":"T-{Label}-{Index}-{Resolution}{Extension}"}]}`),
			"T-small-000001-80x46.png"},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		files, _, err := encodeWith(t, tt.preset, Clip{}, dir, source)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if files[0].Name != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, files[0].Name, tt.want)
		}
	}
}
