package ffmpeg

import "testing"

func TestParseGrading(t *testing.T) {
	const display = `{"side_data_type":"Mastering display metadata","red_x":"34000/50000","red_y":"16000/50000","green_x":"13250/50000","green_y":"34500/50000","blue_x":"7500/50000","blue_y":"3000/50000","white_point_x":"15635/50000","white_point_y":"16450/50000","min_luminance":"0/10000","max_luminance":"10000000/10000"}`
	const told = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,0)"
	for _, tt := range []struct{ in, mastering, light string }{
		{`{"frames":[{"side_data_list":[` + display + `,{"side_data_type":"Content light level metadata","max_content":1000,"max_average":400}]}]}`, told, "1000,400"},
		{`{"packets_and_frames":[{"type":"packet"},{"side_data_list":[` + display + `]}]}`, told, ""},
		{`{"frames":[{"side_data_list":[{"side_data_type":"Mastering display metadata","red_x":"1:evil=1"}]}]}`, "", ""},
		{`{"frames":[{"side_data_list":[{"side_data_type":"Content light level metadata","max_content":-5,"max_average":99999999}]}]}`, "", ""},
		{`{"frames":[{}]}`, "", ""},
		{`no JSON`, "", ""},
	} {
		var s Stream
		if s.parseGrading([]byte(tt.in)); s.Mastering != tt.mastering || s.LightLevel != tt.light {
			t.Errorf("%s: %q, %q", tt.in, s.Mastering, s.LightLevel)
		}
	}
}
