"""On demand only: what an analyst does with packets by hand. No part of the pipeline imports this.

conversation  who talks with whom in a frame    selection  the frames of one conversation
captures      frames to pcap and pcapng         summary    a frame in a line, by our own parsers
tshark        frames in tshark's words          scapy      frames in scapy's words
sandbox       where foreign programs run        scapy_worker   the process in which scapy runs
"""
