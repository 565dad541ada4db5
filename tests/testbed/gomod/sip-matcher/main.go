// Tells what livekit-server 1.13.5 does with calls: its own matcher, asked as its `pkg/service/ioservice_sip.go` asks it.
//
// A line of JSON in, one out: {"trunks": [SIPInboundTrunkInfo], "rules": [SIPDispatchRuleInfo], "calls": [call]}, each
// message as protojson; the answer is a list with one entry per call.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"

	"github.com/dennwc/iters"
	"github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/rpc"
	"github.com/livekit/protocol/sip"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type call struct {
	Called string `json:"called"`
	Caller string `json:"caller"`
	Host   string `json:"host"`
	Source string `json:"source"`
	Pin    string `json:"pin"`
	NoPin  bool   `json:"noPin"`
}

type scene struct {
	Trunks []json.RawMessage `json:"trunks"`
	Rules  []json.RawMessage `json:"rules"`
	Calls  []call            `json:"calls"`
}

type answer struct {
	Trunk  string `json:"trunk"`
	Rule   string `json:"rule"`
	Result string `json:"result"`
	Error  string `json:"error"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked scene
		must(json.Unmarshal(lines.Bytes(), &asked))
		trunks := read(asked.Trunks, func() *livekit.SIPInboundTrunkInfo { return new(livekit.SIPInboundTrunkInfo) })
		rules := read(asked.Rules, func() *livekit.SIPDispatchRuleInfo { return new(livekit.SIPDispatchRuleInfo) })
		answers := make([]answer, 0, len(asked.Calls))
		for _, each := range asked.Calls {
			answers = append(answers, match(trunks, rules, each))
		}
		must(out.Encode(answers))
	}
	must(lines.Err())
}

func match(trunks []*livekit.SIPInboundTrunkInfo, rules []*livekit.SIPDispatchRuleInfo, c call) answer {
	byNumber := (&livekit.ListSIPInboundTrunkRequest{Numbers: []string{c.Called}}).FilterSlice(trunks)
	trunk, err := sip.MatchTrunkIter(iters.Slice(byNumber), &rpc.SIPCall{
		SourceIp: c.Source,
		From:     &livekit.SIPUri{User: c.Caller, Host: c.Host},
		To:       &livekit.SIPUri{User: c.Called},
	})
	if err != nil {
		return answer{Result: "REFUSED", Error: err.Error()}
	}
	list := &livekit.ListSIPDispatchRuleRequest{}
	found := answer{}
	if trunk != nil {
		found.Trunk = trunk.SipTrunkId
		list.TrunkIds = []string{trunk.SipTrunkId}
	}
	request := &rpc.EvaluateSIPDispatchRulesRequest{
		CallingNumber: c.Caller, CallingHost: c.Host, CalledNumber: c.Called, SrcAddress: c.Source,
		Pin: c.Pin, NoPin: c.NoPin,
	}
	rule, err := sip.MatchDispatchRuleIter(trunk, iters.Slice(list.FilterSlice(rules)), request)
	var none *sip.ErrNoDispatchMatched
	if errors.As(err, &none) {
		found.Result = "DROP"
		return found
	}
	if err != nil {
		found.Result, found.Error = "REFUSED", err.Error()
		return found
	}
	found.Rule = rule.SipDispatchRuleId
	response, err := sip.EvaluateDispatchRule("", trunk, rule, request)
	must(err)
	found.Result = response.Result.String()
	return found
}

func read[M proto.Message](texts []json.RawMessage, empty func() M) []M {
	found := make([]M, 0, len(texts))
	for _, text := range texts {
		message := empty()
		must(protojson.Unmarshal(text, message))
		found = append(found, message)
	}
	return found
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
