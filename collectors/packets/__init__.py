"""Packets: from the frames of a capture to flows, transactions and files, as events.

    capture   pcap and pcapng to frames            dissect   frames to records, one flow at a time
    link, ip  headers, tunnels, fragments          dns, http, tls   what the streams say
    flow      the flow table                       record    a record's ECS fields
    stream    TCP reassembly                       reading   a capture file to events

Everything but `reading` is without I/O. A hostile packet may cost its flow the detail, never more:
every parser is bounded in time and memory, and every frame is counted as decoded, other (no IP) or
refused.
"""
