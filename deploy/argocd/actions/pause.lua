-- Nothing is written to LiveKit until `resume`; deletion still works.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["byoc.talkifai.dev/paused"] = "true"
return obj
